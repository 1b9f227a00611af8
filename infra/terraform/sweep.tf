locals {
  # One minute has no plural there.
  sweep_rate = var.sweep_minutes == 1 ? "rate(1 minute)" : "rate(${var.sweep_minutes} minutes)"
  sweep      = jsonencode({ sweep = true, stay = true, every_minutes = var.sweep_minutes })
}

# The schedule has its own group, because a group takes tags and a schedule takes none.
resource "aws_scheduler_schedule_group" "sweep" {
  count = local.is_scheduled ? 1 : 0

  name = "${var.name}-sweep"
  tags = local.stack_tags
}

resource "aws_scheduler_schedule" "sweep" {
  count = local.is_scheduled ? 1 : 0

  name                = "${var.name}-sweep"
  description         = "Starts the sweep of unthrottle"
  group_name          = aws_scheduler_schedule_group.sweep[0].name
  schedule_expression = local.sweep_rate

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_function.unthrottle.arn
    role_arn = aws_iam_role.sweep[0].arn
    input    = local.sweep

    retry_policy {
      # If a sweep is lost, the next one finds the same streams.
      maximum_retry_attempts = 0
    }
  }

  # Without the policy IAM would refuse the first sweeps.
  depends_on = [aws_iam_role_policy.sweep]
}

resource "aws_iam_role" "sweep" {
  count = local.is_scheduled ? 1 : 0

  name                 = "unthrottle-sweep-${local.region}"
  path                 = var.role_path
  permissions_boundary = local.boundary
  tags                 = local.tags
  description          = "What the schedule of unthrottle's sweep may do. It can invoke the unthrottle function, and nothing else."

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
            "aws:SourceArn" = aws_scheduler_schedule_group.sweep[0].arn
          }
        }
      },
    ]
  })
}

resource "aws_iam_role_policy" "sweep" {
  count = local.is_scheduled ? 1 : 0

  name = "sweep"
  role = aws_iam_role.sweep[0].id

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

# Where EventBridge Scheduler is refused, a rule starts the sweep.
resource "aws_cloudwatch_event_rule" "sweep" {
  count = local.is_scheduled ? 0 : 1

  name                = "${var.name}-sweep"
  description         = "Starts the sweep of unthrottle"
  schedule_expression = local.sweep_rate
  tags                = local.stack_tags
}

resource "aws_cloudwatch_event_target" "sweep" {
  count = local.is_scheduled ? 0 : 1

  rule      = aws_cloudwatch_event_rule.sweep[0].name
  target_id = "function"
  arn       = aws_lambda_function.unthrottle.arn
  input     = local.sweep

  retry_policy {
    # EventBridge's own default. The provider sends 0 for a missing argument, which is no age.
    maximum_event_age_in_seconds = 86400
    maximum_retry_attempts       = 0
  }
}

resource "aws_lambda_permission" "sweep" {
  count = local.is_scheduled ? 0 : 1

  statement_id  = "${var.name}-sweep"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.unthrottle.function_name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.sweep[0].arn
}
