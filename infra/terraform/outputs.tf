output "version" {
  description = "The release of this stack"
  value       = local.version
}

output "function_name" {
  description = "Invoke this function with {\"stream\": \"NAME\"} to check one stream, or with {\"sweep\": true} to sweep"
  value       = aws_lambda_function.unthrottle.function_name
}

output "function_arn" {
  description = "The ARN of the function"
  value       = aws_lambda_function.unthrottle.arn

  precondition {
    condition     = (var.package != "") != (var.s3_bucket != "" && var.s3_key != "")
    error_message = "Set package, or s3_bucket and s3_key."
  }

  # These conditions compare two variables. The function does not start with a value that breaks one.
  precondition {
    condition     = var.confirm_minutes <= var.window_minutes
    error_message = "confirm_minutes must be at most window_minutes."
  }

  precondition {
    condition     = var.min_shards <= var.max_shards
    error_message = "min_shards must be at most max_shards."
  }

  precondition {
    condition     = var.max_shards_ceiling == "" ? true : tonumber(var.max_shards_ceiling) >= var.max_shards
    error_message = "max_shards_ceiling must be at least max_shards, or empty."
  }
}

output "role_arn" {
  description = "The ARN of the function's role"
  value       = aws_iam_role.unthrottle.arn
}

output "rule_arn" {
  description = "The ARN of the rule on calls that CloudTrail saw throttled or denied"
  value       = aws_cloudwatch_event_rule.throttle.arn
}

output "alarm_rule_arn" {
  description = "The ARN of the rule on the fleet alarms"
  value       = aws_cloudwatch_event_rule.alarm.arn
}

output "sweep_schedule_arn" {
  description = "The ARN of the schedule of the sweep, or of its rule"
  value       = local.is_scheduled ? one(aws_scheduler_schedule.sweep[*].arn) : one(aws_cloudwatch_event_rule.sweep[*].arn)
}

output "log_group_name" {
  description = "The log group of the function"
  value       = aws_cloudwatch_log_group.unthrottle.name
}

output "dead_letter_queue_url" {
  description = "The URL of the queue of events that could not reach the function, or failed three times"
  value       = aws_sqs_queue.dead_letters.url
}

output "topic_arn" {
  description = "Subscribe to this topic to receive changes, healed streams, holds that need a person, and alarms"
  value       = aws_sns_topic.unthrottle.arn
}
