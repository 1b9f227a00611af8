# The topic has its own key. The policy of the AWS managed key alias/aws/sns excludes CloudWatch: SNS would drop the
# alarms without an error that a person sees.
resource "aws_kms_key" "topic" {
  count = var.topic_key == "own" ? 1 : 0

  description         = "Encrypts the messages of unthrottle's topic"
  enable_key_rotation = true
  # The shortest time that KMS allows: the topic keeps no message that a person needs after its deletion.
  deletion_window_in_days = 7
  tags                    = local.tags

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      # IAM policies of this account may grant the use of the key. The function's role has such a policy.
      {
        Sid       = "ThisAccount"
        Effect    = "Allow"
        Principal = { AWS = "arn:${local.partition}:iam::${local.account}:root" }
        Action    = "kms:*"
        Resource  = "*"
      },
      {
        Sid       = "AlarmsOfThisAccount"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = ["kms:Decrypt", "kms:GenerateDataKey*"]
        Resource  = "*"
        Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
      },
    ]
  })
}

locals {
  given_key = var.topic_key == "aws" ? "alias/aws/sns" : var.topic_key
  topic_key = var.topic_key == "own" ? one(aws_kms_key.topic[*].arn) : local.given_key
}

# The messages name streams, principals, tags and numbers. They hold no record of a stream.
resource "aws_sns_topic" "unthrottle" {
  name              = var.name
  display_name      = "unthrottle"
  kms_master_key_id = local.topic_key
  tags              = local.tags
}

resource "aws_sns_topic_policy" "unthrottle" {
  arn = aws_sns_topic.unthrottle.arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "AlarmsOfThisAccount"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.unthrottle.arn
        Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
      },
      {
        Sid       = "OnlyTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.unthrottle.arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}

# SNS first mails a link. It sends no message before the receiver follows the link.
resource "aws_sns_topic_subscription" "email" {
  count = var.notification_email == "" ? 0 : 1

  topic_arn = aws_sns_topic.unthrottle.arn
  protocol  = "email"
  endpoint  = var.notification_email
}

resource "aws_cloudwatch_metric_alarm" "auto_fix" {
  alarm_name          = "${var.name}-auto-fix"
  alarm_description   = "unthrottle changed a stream. Its log says which stream, why, and how to stop unthrottle."
  tags                = local.tags
  namespace           = "Unthrottle"
  metric_name         = "AutoFix"
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = var.auto_fix_alarm_threshold
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.unthrottle.arn]
}

resource "aws_cloudwatch_metric_alarm" "needs_person" {
  alarm_name          = "${var.name}-needs-person"
  alarm_description   = "A stream or one of its callers needs a person. The log of unthrottle says which stream, why, and what to do."
  tags                = local.tags
  namespace           = "Unthrottle"
  metric_name         = "NeedsPerson"
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.unthrottle.arn]
}

resource "aws_cloudwatch_metric_alarm" "fleet_limit" {
  alarm_name          = "${var.name}-fleet-limit"
  alarm_description   = "unthrottle reached its limit of changes in an hour or in a sweep, and holds further changes. Its log names the streams. Look for one cause behind all of them. If the load is real, raise max_changes_per_hour or max_changes_per_sweep."
  tags                = local.tags
  namespace           = "Unthrottle"
  metric_name         = "Held"
  dimensions          = { Reason = "fleet_limit" }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.unthrottle.arn]
}

# The alarm notifies the topic that unthrottle could not reach. The topic may work again by then, and people who watch
# the alarms see it in any case.
resource "aws_cloudwatch_metric_alarm" "untold" {
  alarm_name          = "${var.name}-untold"
  alarm_description   = "unthrottle could not publish a message to its topic. Its log has the error and the decisions."
  tags                = local.tags
  namespace           = "Unthrottle"
  metric_name         = "Untold"
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.unthrottle.arn]
}

# Each sweep that ends publishes a sample, also of 0. A new alarm has no data. It notifies people only when data that it
# had stops, so it says nothing between a deployment and its first sweep.
resource "aws_cloudwatch_metric_alarm" "no_sweep" {
  alarm_name          = "${var.name}-no-sweep"
  alarm_description   = "INSUFFICIENT_DATA means that no sweep of unthrottle has ended for more than an hour. unthrottle is paused, or its log has the error."
  tags                = local.tags
  namespace           = "Unthrottle"
  metric_name         = "SweepLooked"
  statistic           = "SampleCount"
  period              = 300
  evaluation_periods  = 12
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  treat_missing_data  = "missing"
  alarm_actions       = [aws_sns_topic.unthrottle.arn]

  insufficient_data_actions = [aws_sns_topic.unthrottle.arn]
}

# One check may fail, and the next sweep repeats it. The alarm therefore needs a failure in every sweep of half an hour.
# A sweep without a failure publishes no SweepFailed, and CloudWatch then has no value for the difference.
resource "aws_cloudwatch_metric_alarm" "sweep_failed" {
  alarm_name          = "${var.name}-sweep-failed"
  alarm_description   = "Every sweep of unthrottle in the last half hour had a read or a change that failed. Its log says which, and why."
  tags                = local.tags
  evaluation_periods  = 1
  comparison_operator = "LessThanOrEqualToThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.unthrottle.arn]

  metric_query {
    id = "ended"

    metric {
      namespace   = "Unthrottle"
      metric_name = "SweepLooked"
      period      = 1800
      stat        = "SampleCount"
    }

    return_data = false
  }

  metric_query {
    id = "failing"

    metric {
      namespace   = "Unthrottle"
      metric_name = "SweepFailed"
      period      = 1800
      stat        = "SampleCount"
    }

    return_data = false
  }

  metric_query {
    id          = "others"
    label       = "sweeps without a failure"
    expression  = "ended - failing"
    return_data = true
  }
}

resource "aws_cloudwatch_metric_alarm" "function_errors" {
  alarm_name          = "${var.name}-function-errors"
  alarm_description   = "A run of unthrottle failed. Its log says why, and has every change that the run made."
  tags                = local.tags
  namespace           = "AWS/Lambda"
  metric_name         = "Errors"
  dimensions          = { FunctionName = aws_lambda_function.unthrottle.function_name }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.unthrottle.arn]
}

# Many throttled calls at once use up the reserved concurrency. This is its purpose. Each event waits up to five minutes
# for a run, and then goes to the dead-letter queue. The sweep finds its stream. If runs wait for a quarter of an hour,
# the account has no concurrency left, or its streams need more runs at the same time.
resource "aws_cloudwatch_metric_alarm" "function_throttles" {
  alarm_name          = "${var.name}-function-throttles"
  alarm_description   = "Runs of unthrottle have waited for concurrency for a quarter of an hour. Raise reserved_concurrency, or the account's concurrency quota."
  tags                = local.tags
  namespace           = "AWS/Lambda"
  metric_name         = "Throttles"
  dimensions          = { FunctionName = aws_lambda_function.unthrottle.function_name }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 3
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.unthrottle.arn]
}

resource "aws_cloudwatch_metric_alarm" "dead_letters" {
  alarm_name          = "${var.name}-dead-letters"
  alarm_description   = "Events could not reach unthrottle, waited for five minutes, or failed three times. They are in its dead-letter queue. The sweep finds the streams that still throttle. Purge the queue (aws sqs purge-queue) after you have found the cause."
  tags                = local.tags
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = aws_sqs_queue.dead_letters.name }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.unthrottle.arn]
}

