# The fleet alarms. Each watches every stream of the account and region, and CloudWatch bills it for each stream. The
# contributors of an alarm are its streams in ALARM. A query returns at most 500 streams, the worst first, and an alarm
# has at most 100 contributors. The alarms notify only the function, and the function notifies people.
resource "aws_cloudwatch_metric_alarm" "write_throttled" {
  alarm_name        = "${var.name}-write-throttled"
  alarm_description = "Producers of a stream are throttled. This alarm wakes unthrottle."
  tags              = local.tags

  metric_query {
    id          = "refused"
    expression  = "SELECT SUM(WriteProvisionedThroughputExceeded) FROM SCHEMA(\"AWS/Kinesis\", StreamName)${local.where} GROUP BY StreamName ORDER BY SUM() DESC LIMIT 500"
    period      = 60
    return_data = true
  }

  # The alarm needs as many throttled minutes as a change. An earlier run could only wait.
  evaluation_periods  = var.window_minutes
  datapoints_to_alarm = var.confirm_minutes
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
}

resource "aws_cloudwatch_metric_alarm" "read_throttled" {
  alarm_name        = "${var.name}-read-throttled"
  alarm_description = "Readers of a stream are throttled. This alarm wakes unthrottle."
  tags              = local.tags

  metric_query {
    id          = "refused"
    expression  = "SELECT SUM(ReadProvisionedThroughputExceeded) FROM SCHEMA(\"AWS/Kinesis\", StreamName)${local.where} GROUP BY StreamName ORDER BY SUM() DESC LIMIT 500"
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
  count = local.watches_readers ? 1 : 0

  alarm_name        = "${var.name}-readers-behind"
  alarm_description = "A reader of a stream is far behind. This alarm wakes unthrottle, which reports when AWS deletes unread records."
  tags              = local.tags

  metric_query {
    id = "behind"
    # Metrics Insights requires quotes around a name with a dot.
    expression  = "SELECT MAX(\"GetRecords.IteratorAgeMilliseconds\") FROM SCHEMA(\"AWS/Kinesis\", StreamName)${local.where} GROUP BY StreamName ORDER BY MAX() DESC LIMIT 500"
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
  description = "Streams that raised a fleet alarm"
  tags        = local.stack_tags

  event_pattern = jsonencode({
    source = ["aws.cloudwatch"]
    # The first kind names the stream. The second kind names none if the alarm has contributors: unthrottle holds it as
    # not_ours.
    detail-type = ["CloudWatch Alarm Contributor State Change", "CloudWatch Alarm State Change"]
    # Only the fleet alarms. The module's own alarms react to what the function does, and must not wake it.
    resources = concat(
      [
        aws_cloudwatch_metric_alarm.write_throttled.arn,
        aws_cloudwatch_metric_alarm.read_throttled.arn,
      ],
      local.watches_readers ? [aws_cloudwatch_metric_alarm.readers_behind[0].arn] : [],
    )
    detail = { state = { value = ["ALARM"] } }
  })
}

resource "aws_cloudwatch_event_target" "alarm" {
  rule      = aws_cloudwatch_event_rule.alarm.name
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

resource "aws_lambda_permission" "alarm" {
  statement_id  = "${var.name}-alarm"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.unthrottle.function_name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.alarm.arn
}
