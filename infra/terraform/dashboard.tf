# One page about unthrottle, the same as in template.yaml.
resource "aws_cloudwatch_dashboard" "unthrottle" {
  dashboard_name = "unthrottle-${local.region}"
  dashboard_body = templatefile("${path.module}/../dashboard/dashboard.json", {
    Region       = local.region
    FunctionName = aws_lambda_function.unthrottle.function_name
    LogGroup     = aws_cloudwatch_log_group.unthrottle.name
    QueueName    = aws_sqs_queue.dead_letters.name
  })
}
