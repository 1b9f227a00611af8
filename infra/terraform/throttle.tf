# These calls are data events. Without a CloudTrail trail that records them (trail.tf, or your own), the rule never
# fires.
resource "aws_cloudwatch_event_rule" "throttle" {
  name        = "${var.name}-throttle"
  description = "Kinesis calls that AWS throttled or denied"
  tags        = local.stack_tags

  event_pattern = jsonencode({
    source      = ["aws.kinesis"]
    detail-type = ["AWS API Call via CloudTrail"]
    detail = {
      # The function makes none of these calls, so it cannot wake itself.
      eventName = ["PutRecord", "PutRecords", "GetRecords", "GetShardIterator", "SubscribeToShard"]
      errorCode = [
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "LimitExceededException",
        "AccessDenied",
        "AccessDeniedException",
        { prefix = "KMS" },
      ]
    }
  })
}

resource "aws_cloudwatch_event_target" "throttle" {
  rule      = aws_cloudwatch_event_rule.throttle.name
  target_id = "function"
  arn       = aws_lambda_function.unthrottle.arn

  retry_policy {
    maximum_event_age_in_seconds = 300
    # EventBridge's own default. The provider sends 0 for a missing argument, and 0 means no retry.
    maximum_retry_attempts = 185
  }

  dead_letter_config {
    arn = aws_sqs_queue.dead_letters.arn
  }
}

resource "aws_lambda_permission" "throttle" {
  statement_id  = "${var.name}-throttle"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.unthrottle.function_name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.throttle.arn
}
