# The name is fixed, because an organization's policy refers to it (infra/guardrails). IAM names are global, so the name
# carries the region.
resource "aws_iam_role" "unthrottle" {
  name                 = "unthrottle-${local.region}"
  path                 = var.role_path
  permissions_boundary = local.boundary
  tags                 = local.tags
  description          = "What the unthrottle function may do. It can read streams, change their capacity and their shard-level metrics, write its memory tag, and publish to its topic."

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
  # Every stream of this account and region. `scope` and the streams' tags decide which of them may be changed.
  streams = "arn:${local.partition}:kinesis:${local.region}:${local.account}:stream/*"

  # With scope = "tagged" the role may change only streams that a person has put in scope.
  is_tagged   = { for key, value in { "aws:ResourceTag/unthrottle.mode" = "false" } : key => value if var.scope == "tagged" }
  only_tagged = var.scope == "tagged" ? { Null = local.is_tagged } : null

  # Binds the actions that take no resource to this region.
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
      # `*`: the service authorization reference names no resource for this action, so an ARN would deny every call. The
      # same holds for each `*` with this condition below.
      {
        Sid       = "ChangeShardCount"
        Effect    = "Allow"
        Action    = "kinesis:UpdateShardCount"
        Resource  = "*"
        Condition = local.in_this_region
      },
      # For both directions. A stream's own tag can only deny what on_demand allows.
      var.on_demand != "allow" ? null : {
        Sid       = "ChangeMode"
        Effect    = "Allow"
        Action    = "kinesis:UpdateStreamMode"
        Resource  = "*"
        Condition = local.in_this_region
      },
      # SplitShard divides a hot shard. UpdateShardCount takes shards back, so MergeShards is not needed.
      {
        Sid    = "ChangeStreams"
        Effect = "Allow"
        Action = [
          "kinesis:SplitShard",
          "kinesis:UpdateStreamWarmThroughput",
        ]
        Resource = local.streams
        # IAM can bind only actions that name a stream. `UpdateShardCount` and `UpdateStreamMode` name none.
        Condition = local.only_tagged
      },
      # Shard-level metrics cost money, so only diagnose = "allow" permits this action. IAM can restrict neither the
      # metrics nor the stream.
      var.diagnose != "allow" ? null : {
        Sid       = "ShowShards"
        Effect    = "Allow"
        Action    = "kinesis:EnableEnhancedMonitoring"
        Resource  = "*"
        Condition = local.in_this_region
      },
      # Always permitted: diagnose may have been "allow" when unthrottle enabled the metrics.
      {
        Sid       = "HideShards"
        Effect    = "Allow"
        Action    = "kinesis:DisableEnhancedMonitoring"
        Resource  = "*"
        Condition = local.in_this_region
      },
      # The memory is one tag. The role can set no other: no tag that grants access, and none of people's policy tags.
      {
        Sid      = "Remember"
        Effect   = "Allow"
        Action   = "kinesis:TagResource"
        Resource = local.streams
        Condition = {
          "ForAllValues:StringEquals" = { "aws:TagKeys" = ["unthrottle.memory"] }
          # ForAllValues also holds for a call that names no tag.
          Null = merge({ "aws:TagKeys" = "false" }, local.is_tagged)
        }
      },
      # `*`: these calls read facts of the account, and AWS defines no resource for them. None changes a setting.
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
      # These calls find the streams that need a check. `*`: GetResources finds by tag and takes no resource. No service
      # authorization reference that could be read has DescribeAlarmContributors. If the action takes no alarm, an ARN
      # would deny every call. The sweep would then ask Metrics Insights, which costs more and finds streams later.
      {
        Sid    = "FindStreams"
        Effect = "Allow"
        Action = [
          "tag:GetResources",
          "cloudwatch:DescribeAlarmContributors",
        ]
        Resource = "*"
      },
      # `*`: PutMetricData takes no resource. The condition binds it to the namespace.
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
      # The topic encrypts its messages with this key. The policy of alias/aws/sns lets every publisher of the account
      # use that one.
      var.topic_key == "aws" ? null : {
        Sid    = "EncryptForTopic"
        Effect = "Allow"
        Action = [
          "kms:Decrypt",
          "kms:GenerateDataKey",
        ]
        Resource = local.topic_key
      },
      {
        Sid    = "WriteLog"
        Effect = "Allow"
        Action = [
          "logs:CreateLogStream",
          "logs:PutLogEvents",
        ]
        # The actions write to the log streams of the group. The provider's ARN of the group does not cover them.
        Resource = "${aws_cloudwatch_log_group.unthrottle.arn}:*"
      },
      # Lambda sends failed events to this queue with the function's role.
      {
        Sid      = "KeepFailedEvents"
        Effect   = "Allow"
        Action   = "sqs:SendMessage"
        Resource = aws_sqs_queue.dead_letters.arn
      },
    ] : { for name, value in statement : name => value if value != null } if statement != null]
  })
}
