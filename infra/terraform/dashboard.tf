# One page about unthrottle, the same as in template.yaml. `make generate` copies the file.
resource "aws_cloudwatch_dashboard" "unthrottle" {
  count = var.dashboard == "allow" ? 1 : 0

  dashboard_name = "unthrottle-${local.region}"
  dashboard_body = templatefile("${path.module}/dashboard.json", {
    Region       = local.region
    Where        = local.where
    FunctionName = aws_lambda_function.unthrottle.function_name
    LogGroup     = aws_cloudwatch_log_group.unthrottle.name
    QueueName    = aws_sqs_queue.dead_letters.name
  })
}
