# The variables are the parameters of template.yaml, with the same defaults and bounds. Five more are of the module:
# where the package is, `name`, and `tags`. The module refuses a fraction where the function needs a whole number.

variable "package" {
  description = "Path of the function's package, the zip that `make lambda` builds. Set `architecture` to the architecture of the package. Empty means that `s3_bucket` and `s3_key` name it."
  type        = string
  default     = ""
  nullable    = false
}

variable "s3_bucket" {
  description = "The bucket of the package, in the region of the function."
  type        = string
  default     = ""
  nullable    = false
}

variable "s3_key" {
  description = "The key of the package in the bucket. Give each new package a new key: Terraform sees no change otherwise."
  type        = string
  default     = ""
  nullable    = false
}

variable "tags" {
  description = "Tags of every resource that takes tags."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "name" {
  description = "Name of the function. The names of the other resources start with it. `unthrottle pause --stack` takes it. The roles carry the region in their names, so only one unthrottle fits into an account and region."
  type        = string
  default     = "unthrottle"
  nullable    = false

  validation {
    # The prefix of the bucket's name has the tightest limit: 37 lower-case characters, and "-trail-" takes seven of
    # them.
    condition     = can(regex("^[a-z][a-z0-9-]{0,29}$", var.name))
    error_message = "A lower-case letter, then up to 29 lower-case letters, digits and hyphens."
  }
}

# What unthrottle may do.

variable "mode" {
  description = "UNTHROTTLE_MODE. heal changes streams. observe decides and reports, but changes nothing. off does nothing."
  type        = string
  default     = "heal"
  nullable    = false

  validation {
    condition     = contains(["heal", "observe", "off"], var.mode)
    error_message = "One of heal, observe, off."
  }
}

variable "scope" {
  description = "UNTHROTTLE_SCOPE. all takes every stream. tagged takes only streams with the tag unthrottle.mode."
  type        = string
  default     = "all"
  nullable    = false

  validation {
    condition     = contains(["all", "tagged"], var.scope)
    error_message = "One of all, tagged."
  }
}

variable "on_demand" {
  description = "UNTHROTTLE_ON_DEMAND. Whether unthrottle may switch a stream to on-demand mode when AWS's limits leave no room for more shards."
  type        = string
  default     = "allow"
  nullable    = false

  validation {
    condition     = contains(["allow", "deny"], var.on_demand)
    error_message = "One of allow, deny."
  }
}

variable "diagnose" {
  description = "UNTHROTTLE_DIAGNOSE. Whether unthrottle may enable shard-level metrics to find a hot shard. It disables them afterwards. They cost about $0.90 for each shard and month."
  type        = string
  default     = "deny"
  nullable    = false

  validation {
    condition     = contains(["allow", "deny"], var.diagnose)
    error_message = "One of allow, deny."
  }
}

variable "restore_after_hours" {
  description = "UNTHROTTLE_RESTORE_AFTER_HOURS. Hours without throttling after which unthrottle takes back the shards that it raised. It then also undoes its own switch to on-demand mode. 0 means never."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = var.restore_after_hours >= 0 && var.restore_after_hours <= 24 && floor(var.restore_after_hours) == var.restore_after_hours
    error_message = "A whole number from 0 to 24."
  }
}

variable "foresight" {
  description = "UNTHROTTLE_FORESIGHT. The most that a stream's own tag unthrottle.foresight may ask for. observe reports which shards the stream would get before it throttles. act adds them. A stream without the tag takes no part."
  type        = string
  default     = "off"
  nullable    = false

  validation {
    condition     = contains(["off", "observe", "act"], var.foresight)
    error_message = "One of off, observe, act."
  }
}

# Limits.

variable "max_shards" {
  description = "UNTHROTTLE_MAX_SHARDS. unthrottle gives no stream more shards than this. It also switches no stream to on-demand mode for a load that needs more. In on-demand mode the cost grows with the traffic. max_hourly_cost bounds the cost at the moment of a change."
  type        = number
  default     = 100
  nullable    = false

  validation {
    condition     = var.max_shards >= 1 && var.max_shards <= 10000 && floor(var.max_shards) == var.max_shards
    error_message = "A whole number from 1 to 10000."
  }
}

variable "max_shards_ceiling" {
  description = "UNTHROTTLE_MAX_SHARDS_CEILING. The highest maximum that a stream's own tag may set. At least max_shards. Empty means max_shards."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^([1-9][0-9]{0,3}|10000)?$", var.max_shards_ceiling))
    error_message = "A whole number from 1 to 10000, or empty."
  }
}

variable "min_shards" {
  description = "UNTHROTTLE_MIN_SHARDS. A restore never goes below this number of shards. unthrottle does not switch a stream with fewer shards back to provisioned mode. At most max_shards."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.min_shards >= 1 && var.min_shards <= 10000 && floor(var.min_shards) == var.min_shards
    error_message = "A whole number from 1 to 10000."
  }
}

variable "max_warm_mibps" {
  description = "UNTHROTTLE_MAX_WARM_MIBPS. unthrottle gives no stream more warm throughput than this, in MiB/s. Only accounts with the throughput commitment have warm throughput."
  type        = number
  default     = 200
  nullable    = false

  validation {
    condition     = var.max_warm_mibps >= 1 && var.max_warm_mibps <= 10240 && floor(var.max_warm_mibps) == var.max_warm_mibps
    error_message = "A whole number from 1 to 10240."
  }
}

variable "max_hourly_cost" {
  description = "UNTHROTTLE_MAX_HOURLY_COST. No change raises the cost of a stream above this, in USD an hour at the load of that moment. Empty means no such limit."
  type        = string
  default     = "5"
  nullable    = false

  validation {
    condition     = can(regex("^(0\\.(0[1-9]|[1-9])[0-9]*|[1-9][0-9]{0,5}(\\.[0-9]+)?|1000000)?$", var.max_hourly_cost))
    error_message = "USD an hour from 0.01 to 1000000, or empty."
  }
}

variable "max_changes_per_hour" {
  description = "UNTHROTTLE_MAX_CHANGES_PER_HOUR. unthrottle makes no more changes than this in an hour, over all streams of the account and region."
  type        = number
  default     = 100
  nullable    = false

  validation {
    condition     = var.max_changes_per_hour >= 1 && var.max_changes_per_hour <= 10000 && floor(var.max_changes_per_hour) == var.max_changes_per_hour
    error_message = "A whole number from 1 to 10000."
  }
}

variable "max_changes_per_sweep" {
  description = "UNTHROTTLE_MAX_CHANGES_PER_SWEEP. A sweep changes no more streams than this. It starts with the worst."
  type        = number
  default     = 20
  nullable    = false

  validation {
    condition     = var.max_changes_per_sweep >= 1 && var.max_changes_per_sweep <= 10000 && floor(var.max_changes_per_sweep) == var.max_changes_per_sweep
    error_message = "A whole number from 1 to 10000."
  }
}

variable "max_added_shards" {
  description = "UNTHROTTLE_MAX_ADDED_SHARDS. unthrottle adds no more shards than this in 24 hours, over all streams of the account and region."
  type        = number
  default     = 200
  nullable    = false

  validation {
    condition     = var.max_added_shards >= 1 && var.max_added_shards <= 100000 && floor(var.max_added_shards) == var.max_added_shards
    error_message = "A whole number from 1 to 100000."
  }
}

# Notifications.

variable "notification_email" {
  description = "The address that receives changes, healed streams, holds that need a person, and alarms. Empty means no e-mail. The topic takes any subscriber."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^([^@\\s]+@[^@\\s]+\\.[^@\\s]+)?$", var.notification_email))
    error_message = "One e-mail address, or empty."
  }
}

variable "messages" {
  description = "UNTHROTTLE_MESSAGES. With chat, subscribers by HTTPS get the form that Amazon Q Developer shows in Slack and Microsoft Teams. Other services that subscribe by HTTPS need text."
  type        = string
  default     = "text"
  nullable    = false

  validation {
    condition     = contains(["text", "chat"], var.messages)
    error_message = "One of text, chat."
  }
}

variable "topic_key" {
  description = "The KMS key that encrypts the topic. own creates a key, for $1.00 a month in its first year, and for more after its first rotations. The ARN of a key takes yours. Its policy must let CloudWatch and this account use it. aws takes alias/aws/sns, which costs nothing. CloudWatch may not use that key, so the alarms then notify no person."
  type        = string
  default     = "own"
  nullable    = false

  validation {
    condition     = can(regex("^(own|aws|arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+)$", var.topic_key))
    error_message = "One of own, aws, or the ARN of a KMS key."
  }
}

variable "auto_fix_alarm_threshold" {
  description = "Changes within five minutes that raise the alarm on changes. With 1 the first change raises the alarm. Changes that follow at once raise no second alarm."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.auto_fix_alarm_threshold >= 1 && floor(var.auto_fix_alarm_threshold) == var.auto_fix_alarm_threshold
    error_message = "A whole number, 1 or more."
  }
}

# What wakes unthrottle.

variable "sweep_minutes" {
  description = "Minutes from the start of one sweep to the next. A sweep checks the streams that need a check, and leaves the rest to the next one."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.sweep_minutes >= 1 && var.sweep_minutes <= 30 && floor(var.sweep_minutes) == var.sweep_minutes
    error_message = "A whole number from 1 to 30."
  }
}

variable "sweep_trigger" {
  description = "What starts a sweep. schedule is a schedule of EventBridge Scheduler. rule is a scheduled rule of EventBridge, for an account or a repository that refuses the schedule. The command `unthrottle plan` needs the schedule."
  type        = string
  default     = "schedule"
  nullable    = false

  validation {
    condition     = contains(["schedule", "rule"], var.sweep_trigger)
    error_message = "One of schedule, rule."
  }
}

variable "readers_behind_alarm" {
  description = "allow creates the fleet alarm on readers that are behind. It costs $0.10 for each stream and month."
  type        = string
  default     = "allow"
  nullable    = false

  validation {
    condition     = contains(["allow", "deny"], var.readers_behind_alarm)
    error_message = "One of allow, deny."
  }
}

variable "iterator_age_alarm_milliseconds" {
  description = "The age of the oldest record read that raises the fleet alarm on readers, in milliseconds. The default of 12 hours is half of a stream's default retention."
  type        = number
  default     = 43200000
  nullable    = false

  validation {
    condition     = var.iterator_age_alarm_milliseconds >= 60000 && var.iterator_age_alarm_milliseconds <= 31536000000 && floor(var.iterator_age_alarm_milliseconds) == var.iterator_age_alarm_milliseconds
    error_message = "A whole number from 60000 to 31536000000."
  }
}

variable "this_account_only" {
  description = "UNTHROTTLE_THIS_ACCOUNT_ONLY. allow restricts the queries of alarms, dashboard and sweep to this account. A monitoring account of CloudWatch needs this. deny leaves out the clause, for an account where CloudWatch refuses it. CloudWatch documents the filter of a search for monitoring accounts only. The dashboard's graphs from a search leave it out, and also show linked accounts."
  type        = string
  default     = "allow"
  nullable    = false

  validation {
    condition     = contains(["allow", "deny"], var.this_account_only)
    error_message = "One of allow, deny."
  }
}

variable "data_event_trail" {
  description = "allow creates a CloudTrail trail that records the calls of producers and readers. It costs $0.10 for 100,000 calls, throttled or not. 1,000 calls a second are about $2,600 a month. The rule on throttled calls needs this trail, or a trail of yours that records these calls. The alarms and the sweep need no trail."
  type        = string
  default     = "deny"
  nullable    = false

  validation {
    condition     = contains(["allow", "deny"], var.data_event_trail)
    error_message = "One of allow, deny."
  }
}

variable "trail_retention_days" {
  description = "Days that the bucket keeps the trail's records."
  type        = number
  default     = 7
  nullable    = false

  validation {
    condition     = var.trail_retention_days >= 1 && var.trail_retention_days <= 3650 && floor(var.trail_retention_days) == var.trail_retention_days
    error_message = "A whole number from 1 to 3650."
  }
}

# How unthrottle decides.

variable "target_utilization" {
  description = "UNTHROTTLE_TARGET_UTILIZATION. The share of a shard's capacity that the offered load may use after a change."
  type        = number
  default     = 0.75
  nullable    = false

  validation {
    condition     = var.target_utilization >= 0.3 && var.target_utilization <= 0.95
    error_message = "A number from 0.3 to 0.95."
  }
}

variable "window_minutes" {
  description = "UNTHROTTLE_WINDOW_MINUTES. The number of published minutes that are evidence for a decision. The fleet alarms have the same window."
  type        = number
  default     = 5
  nullable    = false

  validation {
    condition     = var.window_minutes >= 3 && var.window_minutes <= 60 && floor(var.window_minutes) == var.window_minutes
    error_message = "A whole number from 3 to 60."
  }
}

variable "confirm_minutes" {
  description = "UNTHROTTLE_CONFIRM_MINUTES. The throttled minutes in the window before the first change of an incident. At most window_minutes."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.confirm_minutes >= 1 && var.confirm_minutes <= 5 && floor(var.confirm_minutes) == var.confirm_minutes
    error_message = "A whole number from 1 to 5."
  }
}

variable "floor" {
  description = "UNTHROTTLE_FLOOR. unthrottle ignores a minute whose throttled share is below this."
  type        = number
  default     = 0.001
  nullable    = false

  validation {
    condition     = var.floor >= 0 && var.floor <= 0.5
    error_message = "A number from 0 to 0.5."
  }
}

variable "prices_file" {
  description = "UNTHROTTLE_PRICES_FILE. A file of prices in the function's package, in the form of infra/prices.json. Empty means the built-in list prices of us-east-1."
  type        = string
  default     = ""
  nullable    = false
}

# Function.

variable "architecture" {
  description = "The processor architecture that the function's package was built for. arm64 costs a fifth less than x86_64."
  type        = string
  default     = "arm64"
  nullable    = false

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "One of arm64, x86_64."
  }
}

variable "memory_mib" {
  description = "Memory of the function, in MiB."
  type        = number
  default     = 128
  nullable    = false

  validation {
    condition     = var.memory_mib >= 128 && var.memory_mib <= 10240 && floor(var.memory_mib) == var.memory_mib
    error_message = "A whole number from 128 to 10240."
  }
}

variable "reserved_concurrency" {
  description = "UNTHROTTLE_CONCURRENCY. The number of runs at the same time, reserved and at most. 0 reserves nothing, because the quota of a new account leaves nothing to reserve. Reserve 5 where the quota allows it. With 1, no sweep stays, and events wait while a sweep runs."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = var.reserved_concurrency >= 0 && var.reserved_concurrency <= 1000 && floor(var.reserved_concurrency) == var.reserved_concurrency
    error_message = "A whole number from 0 to 1000."
  }
}

variable "log_retention_days" {
  description = "Days that CloudWatch Logs keeps the function's log."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "One of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653."
  }
}

variable "kms_key_arn" {
  description = "The KMS key that encrypts the function's log. Its policy must let CloudWatch Logs of this region use it. Empty means the key of CloudWatch Logs."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+)?$", var.kms_key_arn))
    error_message = "The ARN of a KMS key, or empty."
  }
}

variable "dashboard" {
  description = "allow creates a dashboard. It costs $3.00 a month. The first three dashboards of an account, of up to 50 metrics each, are free."
  type        = string
  default     = "deny"
  nullable    = false

  validation {
    condition     = contains(["allow", "deny"], var.dashboard)
    error_message = "One of allow, deny."
  }
}

# Roles.

variable "role_path" {
  description = "The IAM path of the roles."
  type        = string
  default     = "/"
  nullable    = false

  validation {
    condition     = length(var.role_path) <= 512 && can(regex("^/([!-~]+/)?$", var.role_path))
    error_message = "A path of at most 512 characters that begins and ends with a slash."
  }
}

variable "permissions_boundary" {
  description = "The permissions boundary of the roles. It must allow what the roles allow. Empty means no boundary."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/[!-~]+)?$", var.permissions_boundary))
    error_message = "The ARN of an IAM policy, or empty."
  }
}
