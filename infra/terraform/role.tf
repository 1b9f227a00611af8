# Named, so that an organization's policy can tell it (infra/guardrails). IAM's names are global, so it carries the region.
resource "aws_iam_role" "unthrottle" {
  name        = "unthrottle-${local.region}"
  description = "What unthrottle may do. It can change the capacity of streams and their shard-level metrics, remember it in one tag, and tell its topic, nothing else."

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect    = "Allow"
        Principal = { Service = "lambda.amazonaws.com" }
        Action    = "sts:AssumeRole"
      },
    ]
  })
}

locals {
  # Any stream of this account and region: which of them may be changed is for `scope` and the streams' tags to say.
  streams = "arn:${local.partition}:kinesis:${local.region}:${local.account}:stream/*"

  # The bound of the calls that take no resource.
  in_this_region = { StringEquals = { "aws:RequestedRegion" = local.region } }
}

resource "aws_iam_role_policy" "unthrottle" {
  name = "unthrottle"
  role = aws_iam_role.unthrottle.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [for statement in [
      {
        Sid    = "LookAtStreams"
        Effect = "Allow"
        Action = [
          "kinesis:DescribeStreamSummary",
          "kinesis:ListShards",
          "kinesis:ListTagsForResource",
        ]
        Resource = local.streams
      },
      # `*`: the service authorization reference names no resource for these, so an ARN would deny every call. The region is
      # the bound.
      {
        Sid       = "ChangeShardCount"
        Effect    = "Allow"
        Action    = "kinesis:UpdateShardCount"
        Resource  = "*"
        Condition = local.in_this_region
      },
      # There and back. A stream's own tag can only deny what on_demand allows.
      var.on_demand != "allow" ? null : {
        Sid       = "ChangeMode"
        Effect    = "Allow"
        Action    = "kinesis:UpdateStreamMode"
        Resource  = "*"
        Condition = local.in_this_region
      },
      # A hot shard is split in two. Shards are given back by UpdateShardCount, never by MergeShards.
      {
        Sid    = "ChangeStreams"
        Effect = "Allow"
        Action = [
          "kinesis:SplitShard",
          "kinesis:UpdateStreamWarmThroughput",
        ]
        Resource = local.streams
      },
      # Shard-level metrics cost money: switched on only where diagnose allows it. IAM cannot say which of them, nor of which
      # stream: `*` as above.
      var.diagnose != "allow" ? null : {
        Sid       = "ShowShards"
        Effect    = "Allow"
        Action    = "kinesis:EnableEnhancedMonitoring"
        Resource  = "*"
        Condition = local.in_this_region
      },
      # Switched off whatever diagnose says by now: it may have said allow when they were switched on.
      {
        Sid       = "HideShards"
        Effect    = "Allow"
        Action    = "kinesis:DisableEnhancedMonitoring"
        Resource  = "*"
        Condition = local.in_this_region
      },
      # Its memory is one tag. It can set no other, so no tag that grants access or tells people's policy.
      {
        Sid       = "Remember"
        Effect    = "Allow"
        Action    = "kinesis:TagResource"
        Resource  = local.streams
        Condition = { "ForAllValues:StringEquals" = { "aws:TagKeys" = ["unthrottle.memory"] } }
      },
      # `*`: all read facts of the account, and AWS defines no resource for them. Its settings are read, never changed.
      {
        Sid    = "LookAtAccount"
        Effect = "Allow"
        Action = [
          "kinesis:DescribeAccountSettings",
          "kinesis:DescribeLimits",
          "cloudwatch:GetMetricData",
        ]
        Resource = "*"
      },
      # Which streams need a look. `*`: GetResources finds by tag, and takes no resource. No service authorization
      # reference that could be read has DescribeAlarmContributors: if it takes no alarm, an ARN would deny every call, and
      # the sweep would be blind.
      {
        Sid    = "FindStreams"
        Effect = "Allow"
        Action = [
          "tag:GetResources",
          "cloudwatch:DescribeAlarmContributors",
        ]
        Resource = "*"
      },
      # `*`: metrics are no resources. The namespace is the bound.
      {
        Sid       = "CountFixes"
        Effect    = "Allow"
        Action    = "cloudwatch:PutMetricData"
        Resource  = "*"
        Condition = { StringEquals = { "cloudwatch:namespace" = "Unthrottle" } }
      },
      {
        Sid      = "TellPeople"
        Effect   = "Allow"
        Action   = "sns:Publish"
        Resource = aws_sns_topic.unthrottle.arn
      },
      # The topic keeps what it is told encrypted with this key.
      {
        Sid    = "EncryptForTopic"
        Effect = "Allow"
        Action = [
          "kms:Decrypt",
          "kms:GenerateDataKey",
        ]
        Resource = aws_kms_key.topic.arn
      },
      {
        Sid    = "WriteLog"
        Effect = "Allow"
        Action = [
          "logs:CreateLogStream",
          "logs:PutLogEvents",
        ]
        # What writes a log does so to its streams, which the provider's ARN of the group leaves out.
        Resource = "${aws_cloudwatch_log_group.unthrottle.arn}:*"
      },
      # Lambda sends failed events there in the function's name.
      {
        Sid      = "KeepFailedEvents"
        Effect   = "Allow"
        Action   = "sqs:SendMessage"
        Resource = aws_sqs_queue.dead_letters.arn
      },
    ] : statement if statement != null]
  })
}
