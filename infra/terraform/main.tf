resource "aws_lambda_function" "unthrottle" {
  function_name    = var.name
  description      = "Heals throttled Kinesis data streams"
  filename         = var.package == "" ? null : var.package
  source_code_hash = var.package == "" ? null : filebase64sha256(var.package)
  s3_bucket        = var.s3_bucket == "" ? null : var.s3_bucket
  s3_key           = var.s3_key == "" ? null : var.s3_key
  handler          = "bootstrap"
  runtime          = "provided.al2023"
  architectures    = [var.architecture]
  # The function mostly waits for a few small AWS calls, and the process needs far less than 128 MiB.
  memory_size = var.memory_mib
  # The sweep needs this time. It stops before the deadline, and the next sweep checks the rest. One event takes
  # seconds.
  timeout = 300
  role    = aws_iam_role.unthrottle.arn
  tags    = local.tags
  # -1 means no reservation to the provider. 0 would stop the function.
  reserved_concurrent_executions = var.reserved_concurrency == 0 ? -1 : var.reserved_concurrency

  environment {
    variables = {
      UNTHROTTLE_MODE                  = var.mode
      UNTHROTTLE_SCOPE                 = var.scope
      UNTHROTTLE_TARGET_UTILIZATION    = var.target_utilization
      UNTHROTTLE_WINDOW_MINUTES        = var.window_minutes
      UNTHROTTLE_CONFIRM_MINUTES       = var.confirm_minutes
      UNTHROTTLE_FLOOR                 = var.floor
      UNTHROTTLE_MAX_SHARDS            = var.max_shards
      UNTHROTTLE_MAX_SHARDS_CEILING    = var.max_shards_ceiling == "" ? var.max_shards : var.max_shards_ceiling
      UNTHROTTLE_MIN_SHARDS            = var.min_shards
      UNTHROTTLE_ON_DEMAND             = var.on_demand
      UNTHROTTLE_DIAGNOSE              = var.diagnose
      UNTHROTTLE_MAX_WARM_MIBPS        = var.max_warm_mibps
      UNTHROTTLE_MAX_HOURLY_COST       = var.max_hourly_cost
      UNTHROTTLE_PRICES_FILE           = var.prices_file
      UNTHROTTLE_RESTORE_AFTER_HOURS   = var.restore_after_hours
      UNTHROTTLE_FORESIGHT             = var.foresight
      UNTHROTTLE_MAX_CHANGES_PER_HOUR  = var.max_changes_per_hour
      UNTHROTTLE_MAX_CHANGES_PER_SWEEP = var.max_changes_per_sweep
      UNTHROTTLE_MAX_ADDED_SHARDS      = var.max_added_shards
      # The containers share the bounds of the fleet, and a sweep stays only beside another run.
      UNTHROTTLE_CONCURRENCY       = var.reserved_concurrency
      UNTHROTTLE_THIS_ACCOUNT_ONLY = var.this_account_only
      # The sweep finds the throttled streams in these alarms. Messages to people go to this topic.
      UNTHROTTLE_FLEET_ALARMS = join(",", concat(
        [
          aws_cloudwatch_metric_alarm.write_throttled.alarm_name,
          aws_cloudwatch_metric_alarm.read_throttled.alarm_name,
        ],
        local.watches_readers ? [aws_cloudwatch_metric_alarm.readers_behind[0].alarm_name] : [],
      ))
      UNTHROTTLE_TOPIC_ARN = aws_sns_topic.unthrottle.arn
      UNTHROTTLE_MESSAGES  = var.messages
      # A function of another release says so at its start.
      UNTHROTTLE_VERSION = local.version
      # The function recognizes its own calls by this ARN.
      UNTHROTTLE_ROLE_ARN = aws_iam_role.unthrottle.arn
    }
  }

  logging_config {
    log_group = aws_cloudwatch_log_group.unthrottle.name
    # The function writes JSON and embedded metrics itself. Lambda must not wrap them.
    log_format = "Text"
  }

  # Terraform creates the permissions before the function, and deletes them after it.
  depends_on = [aws_iam_role_policy.unthrottle]
}

resource "aws_lambda_function_event_invoke_config" "unthrottle" {
  function_name = aws_lambda_function.unthrottle.function_name
  qualifier     = "$LATEST"
  # A throttle that is five minutes old says nothing about the present. A stream that still throttles sends new events.
  maximum_event_age_in_seconds = 300
  maximum_retry_attempts       = 2

  destination_config {
    on_failure {
      destination = aws_sqs_queue.dead_letters.arn
    }
  }
}

resource "aws_cloudwatch_log_group" "unthrottle" {
  name              = "/aws/lambda/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn == "" ? null : var.kms_key_arn
  tags              = local.tags
}

# Keeps the events that the function failed on, and the events that EventBridge could not deliver.
resource "aws_sqs_queue" "dead_letters" {
  name                      = "${var.name}-dead-letters"
  sqs_managed_sse_enabled   = true
  message_retention_seconds = 1209600
  tags                      = local.tags
}

resource "aws_sqs_queue_policy" "dead_letters" {
  queue_url = aws_sqs_queue.dead_letters.url

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "OnlyTheRules"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = aws_sqs_queue.dead_letters.arn
        Condition = {
          ArnEquals = {
            "aws:SourceArn" = [
              aws_cloudwatch_event_rule.throttle.arn,
              aws_cloudwatch_event_rule.alarm.arn,
            ]
          }
        }
      },
      {
        Sid       = "OnlyTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = aws_sqs_queue.dead_letters.arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}
