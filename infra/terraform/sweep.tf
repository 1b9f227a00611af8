# The schedule has its own group, because a group takes tags and a schedule takes none.
resource "aws_scheduler_schedule_group" "sweep" {
  name = "${var.name}-sweep"
  tags = local.stack_tag
}

resource "aws_scheduler_schedule" "sweep" {
  name        = "${var.name}-sweep"
  description = "Starts the sweep of unthrottle"
  group_name  = aws_scheduler_schedule_group.sweep.name
  # One minute has no plural there.
  schedule_expression = var.sweep_minutes == 1 ? "rate(1 minute)" : "rate(${var.sweep_minutes} minutes)"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_function.unthrottle.arn
    role_arn = aws_iam_role.sweep.arn
    input    = jsonencode({ sweep = true, stay = true, every_minutes = var.sweep_minutes })

    retry_policy {
      # If a sweep is lost, the next one finds the same streams.
      maximum_retry_attempts = 0
    }
  }

  # Without the policy IAM would refuse the first sweeps.
  depends_on = [aws_iam_role_policy.sweep]
}

resource "aws_iam_role" "sweep" {
  name        = "unthrottle-sweep-${local.region}"
  description = "What the schedule of unthrottle's sweep may do. It can invoke the unthrottle function, and nothing else."

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
            # Scheduler sends the ARN of the group here, not the ARN of the schedule.
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
