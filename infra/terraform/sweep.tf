# A group of its own: a schedule has no tags, its group does.
resource "aws_scheduler_schedule_group" "sweep" {
  name = "${var.name}-sweep"
  tags = local.stack_tag
}

resource "aws_scheduler_schedule" "sweep" {
  name                = "${var.name}-sweep"
  description         = "The look that nothing has woken"
  group_name          = aws_scheduler_schedule_group.sweep.name
  schedule_expression = "rate(${var.sweep_minutes} minutes)"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_function.unthrottle.arn
    role_arn = aws_iam_role.sweep.arn
    input    = jsonencode({ sweep = true, stay = true })

    retry_policy {
      # The next sweep finds what a lost one would have.
      maximum_retry_attempts = 0
    }
  }

  # Or the first sweeps would be refused.
  depends_on = [aws_iam_role_policy.sweep]
}

resource "aws_iam_role" "sweep" {
  name        = "unthrottle-sweep-${local.region}"
  description = "What the schedule of unthrottle's sweep may do. It can invoke that function, nothing else."

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect    = "Allow"
        Principal = { Service = "scheduler.amazonaws.com" }
        Action    = "sts:AssumeRole"
        Condition = {
          StringEquals = {
            "aws:SourceAccount" = local.account
            # Scheduler names the group here, never one schedule.
            "aws:SourceArn" = aws_scheduler_schedule_group.sweep.arn
          }
        }
      },
    ]
  })
}

resource "aws_iam_role_policy" "sweep" {
  name = "sweep"
  role = aws_iam_role.sweep.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "Sweep"
        Effect   = "Allow"
        Action   = "lambda:InvokeFunction"
        Resource = aws_lambda_function.unthrottle.arn
      },
    ]
  })
}
