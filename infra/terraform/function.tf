resource "aws_lambda_function" "unthrottle" {
  function_name    = var.name
  description      = "Heals throttled Kinesis data streams"
  filename         = var.package
  source_code_hash = filebase64sha256(var.package)
  handler          = "bootstrap"
  runtime          = "provided.al2023"
  architectures    = [var.architecture]
  # The function waits for a handful of small AWS calls, and the process is far smaller than 128 MiB.
  memory_size = var.memory_mib
  # For the sweep, which stays with what is under way, stops before this and leaves the rest to the next one. One event
  # takes seconds.
  timeout = 300
  role    = aws_iam_role.unthrottle.arn
  # -1 is the provider's word for no reservation. Its 0 would stop the function.
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
      UNTHROTTLE_MAX_CHANGES_PER_HOUR  = var.max_changes_per_hour
      UNTHROTTLE_MAX_CHANGES_PER_SWEEP = var.max_changes_per_sweep
      # Where the sweep finds the throttled streams, and where people are told.
      UNTHROTTLE_FLEET_ALARMS = join(",", [
        aws_cloudwatch_metric_alarm.write_throttled.alarm_name,
        aws_cloudwatch_metric_alarm.read_throttled.alarm_name,
        aws_cloudwatch_metric_alarm.readers_behind.alarm_name,
      ])
      UNTHROTTLE_TOPIC_ARN = aws_sns_topic.unthrottle.arn
      # So that it recognises its own calls.
      UNTHROTTLE_ROLE_ARN = aws_iam_role.unthrottle.arn
    }
  }

  logging_config {
    log_group = aws_cloudwatch_log_group.unthrottle.name
    # The function writes JSON and embedded metrics itself. Lambda must not wrap them.
    log_format = "Text"
  }

  # Its permissions are there before its first run, and stay until it is gone.
  depends_on = [aws_iam_role_policy.unthrottle]
}

resource "aws_lambda_function_event_invoke_config" "unthrottle" {
  function_name = aws_lambda_function.unthrottle.function_name
  qualifier     = "$LATEST"
  # A throttle of five minutes ago says nothing about now. What still happens sends new events.
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
}

# Events that the function failed on, and those that EventBridge could not hand over.
resource "aws_sqs_queue" "dead_letters" {
  name                      = "${var.name}-dead-letters"
  sqs_managed_sse_enabled   = true
  message_retention_seconds = 1209600
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
