# The fleet alarms: each watches every stream of the account and region, tells which are in ALARM as its contributors, and is
# billed for each stream. A hundred contributors are an alarm's most, five hundred streams a query's: the worst come first.
# They speak to nobody but the function, which tells people what comes of it.
resource "aws_cloudwatch_metric_alarm" "write_throttled" {
  alarm_name        = "${var.name}-write-throttled"
  alarm_description = "Producers of a stream are throttled. It wakes unthrottle."

  metric_query {
    id          = "refused"
    expression  = "SELECT SUM(WriteProvisionedThroughputExceeded) FROM SCHEMA(\"AWS/Kinesis\", StreamName) GROUP BY StreamName ORDER BY SUM() DESC LIMIT 500"
    period      = 60
    return_data = true
  }

  # As many throttled minutes as a change takes: sooner, the function could only wait.
  evaluation_periods  = var.window_minutes
  datapoints_to_alarm = var.confirm_minutes
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
}

resource "aws_cloudwatch_metric_alarm" "read_throttled" {
  alarm_name        = "${var.name}-read-throttled"
  alarm_description = "Readers of a stream are throttled. It wakes unthrottle."

  metric_query {
    id          = "refused"
    expression  = "SELECT SUM(ReadProvisionedThroughputExceeded) FROM SCHEMA(\"AWS/Kinesis\", StreamName) GROUP BY StreamName ORDER BY SUM() DESC LIMIT 500"
    period      = 60
    return_data = true
  }

  evaluation_periods  = var.window_minutes
  datapoints_to_alarm = var.confirm_minutes
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
}

resource "aws_cloudwatch_metric_alarm" "readers_behind" {
  alarm_name        = "${var.name}-readers-behind"
  alarm_description = "A reader of a stream is far behind. It wakes unthrottle, which says when data is lost."

  metric_query {
    id = "behind"
    # A name with a dot stands in quotes.
    expression  = "SELECT MAX(\"GetRecords.IteratorAgeMilliseconds\") FROM SCHEMA(\"AWS/Kinesis\", StreamName) GROUP BY StreamName ORDER BY MAX() DESC LIMIT 500"
    period      = 60
    return_data = true
  }

  evaluation_periods  = var.window_minutes
  datapoints_to_alarm = var.confirm_minutes
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.iterator_age_alarm_milliseconds
  treat_missing_data  = "notBreaching"
}

resource "aws_cloudwatch_event_rule" "alarm" {
  name        = "${var.name}-alarm"
  description = "Streams that have raised a fleet alarm"
  tags        = local.stack_tag

  event_pattern = jsonencode({
    source = ["aws.cloudwatch"]
    # The first names the stream. The second names none where an alarm has contributors, and is then held as not_ours.
    detail-type = ["CloudWatch Alarm Contributor State Change", "CloudWatch Alarm State Change"]
    # No others: the module's own alarms are raised by what the function does, and must not wake it.
    resources = [
      aws_cloudwatch_metric_alarm.write_throttled.arn,
      aws_cloudwatch_metric_alarm.read_throttled.arn,
      aws_cloudwatch_metric_alarm.readers_behind.arn,
    ]
    detail = { state = { value = ["ALARM"] } }
  })
}

resource "aws_cloudwatch_event_target" "alarm" {
  rule      = aws_cloudwatch_event_rule.alarm.name
  target_id = "function"
  arn       = aws_lambda_function.unthrottle.arn

  retry_policy {
    maximum_event_age_in_seconds = 300
    # EventBridge's own default. The provider sends 0, which is none, for what is left out.
    maximum_retry_attempts = 185
  }

  dead_letter_config {
    arn = aws_sqs_queue.dead_letters.arn
  }
}

resource "aws_lambda_permission" "alarm" {
  statement_id  = "${var.name}-alarm"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.unthrottle.function_name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.alarm.arn
}
