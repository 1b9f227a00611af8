# A key of its own: the policy of the AWS-managed key alias/aws/sns shuts CloudWatch out, and alarms would be lost in
# silence.
resource "aws_kms_key" "topic" {
  description         = "What unthrottle's topic tells"
  enable_key_rotation = true
  # The topic keeps nothing that anybody would have to read after it is gone.
  deletion_window_in_days = 7

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      # The account's IAM decides who else: the function's role is allowed to publish by it.
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

# Names streams, principals, tags and numbers; no record of a stream.
resource "aws_sns_topic" "unthrottle" {
  name              = var.name
  display_name      = "unthrottle"
  kms_master_key_id = aws_kms_key.topic.arn
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

# AWS mails a link that has to be followed before anything else comes.
resource "aws_sns_topic_subscription" "email" {
  count = var.notification_email == "" ? 0 : 1

  topic_arn = aws_sns_topic.unthrottle.arn
  protocol  = "email"
  endpoint  = var.notification_email
}

resource "aws_cloudwatch_metric_alarm" "auto_fix" {
  alarm_name          = "${var.name}-auto-fix"
  alarm_description   = "unthrottle changed a stream. Its log says which, why, and how to stop it."
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
  alarm_description   = "A stream, or who calls it, needs a person. The log of unthrottle says which, why, and what to do."
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
  alarm_description   = "unthrottle would change more streams than you allow at once, and changes no more. Its log says which. Is it a fault, or raise max_changes_per_hour or max_changes_per_sweep?"
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

# Sent to the topic that could not be reached: it may be there again, and who watches alarms sees it in any case.
resource "aws_cloudwatch_metric_alarm" "untold" {
  alarm_name          = "${var.name}-untold"
  alarm_description   = "unthrottle could not publish to its topic what a person should know. Its log says why, and has the decisions."
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

# SampleCount, since a sweep that finds nothing to look at says 0. In ALARM from a deployment to the first sweep, too.
resource "aws_cloudwatch_metric_alarm" "no_sweep" {
  alarm_name          = "${var.name}-no-sweep"
  alarm_description   = "No sweep of unthrottle has ended for an hour. It has just been deployed, it is paused, or its log says why."
  namespace           = "Unthrottle"
  metric_name         = "SweepLooked"
  statistic           = "SampleCount"
  period              = 300
  evaluation_periods  = 12
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  treat_missing_data  = "breaching"
  alarm_actions       = [aws_sns_topic.unthrottle.arn]
}

# One look may fail, and the next sweep looks again: every sweep of the half hour must have failed in something.
resource "aws_cloudwatch_metric_alarm" "sweep_failed" {
  alarm_name          = "${var.name}-sweep-failed"
  alarm_description   = "For half an hour no sweep of unthrottle could read and change all that it should. Its log says what and why."
  namespace           = "Unthrottle"
  metric_name         = "SweepFailed"
  statistic           = "Minimum"
  period              = 1800
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.unthrottle.arn]
}

resource "aws_cloudwatch_metric_alarm" "function_errors" {
  alarm_name          = "${var.name}-function-errors"
  alarm_description   = "A run of unthrottle failed. Its log says why. Nothing was changed that the log does not tell."
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

# A storm of throttled calls meets the reserved concurrency: that is what it is for, and each event waits for its turn. For a
# quarter of an hour, the account has no concurrency left, or its streams need more runs at a time.
resource "aws_cloudwatch_metric_alarm" "function_throttles" {
  alarm_name          = "${var.name}-function-throttles"
  alarm_description   = "Runs of unthrottle have had to wait for a quarter of an hour. Raise reserved_concurrency, or the account's concurrency."
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
  alarm_description   = "Events did not reach unthrottle, waited five minutes for their turn in a storm, or failed in it three times. They are in its dead-letter queue. The sweep finds what still throttles; purge the queue (aws sqs purge-queue) when you have seen why."
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

