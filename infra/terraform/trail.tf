# The trail exists only with data_event_trail = "allow". CloudTrail sends its events to EventBridge by itself. It
# requires the bucket nevertheless.
locals {
  trails    = var.data_event_trail == "allow" ? 1 : 0
  trail     = "unthrottle-${local.region}"
  trail_arn = "arn:${local.partition}:cloudtrail:${local.region}:${local.account}:trail/${local.trail}"
}

resource "aws_cloudtrail" "trail" {
  count = local.trails

  name                          = local.trail
  enable_logging                = true
  is_multi_region_trail         = false
  include_global_service_events = false
  enable_log_file_validation    = true
  s3_bucket_name                = aws_s3_bucket.trail[0].id
  tags                          = local.tags

  # No selector uses readOnly: the events of PutRecord and PutRecords carry `readOnly: true`. No selector uses a
  # stream's ARN: a denied call that names its stream carries a malformed ARN.
  advanced_event_selector {
    name = "Calls of producers and readers of streams"

    field_selector {
      field  = "eventCategory"
      equals = ["Data"]
    }

    field_selector {
      field  = "resources.type"
      equals = ["AWS::Kinesis::Stream"]
    }

    field_selector {
      field  = "eventName"
      equals = ["PutRecord", "PutRecords", "GetRecords", "GetShardIterator"]
    }
  }

  advanced_event_selector {
    name = "Calls of consumers with enhanced fan-out"

    field_selector {
      field  = "eventCategory"
      equals = ["Data"]
    }

    field_selector {
      field  = "resources.type"
      equals = ["AWS::Kinesis::StreamConsumer"]
    }

    field_selector {
      field  = "eventName"
      equals = ["SubscribeToShard"]
    }
  }

  # CloudTrail refuses a bucket to which it may not write.
  depends_on = [aws_s3_bucket_policy.trail]
}

# `terraform destroy` fails on purpose while the bucket is not empty. The README says how to keep it, or how to empty
# it.
resource "aws_s3_bucket" "trail" {
  count = local.trails

  bucket_prefix = "${var.name}-trail-"
  tags          = local.tags
}

resource "aws_s3_bucket_server_side_encryption_configuration" "trail" {
  count = local.trails

  bucket = aws_s3_bucket.trail[0].id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_public_access_block" "trail" {
  count = local.trails

  bucket                  = aws_s3_bucket.trail[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "trail" {
  count = local.trails

  bucket = aws_s3_bucket.trail[0].id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "trail" {
  count = local.trails

  bucket = aws_s3_bucket.trail[0].id

  rule {
    id     = "expire"
    status = "Enabled"

    # The rule takes every object.
    filter {}

    expiration {
      days = var.trail_retention_days
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }
}

resource "aws_s3_bucket_policy" "trail" {
  count = local.trails

  bucket = aws_s3_bucket.trail[0].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "TrailReadsAcl"
        Effect    = "Allow"
        Principal = { Service = "cloudtrail.amazonaws.com" }
        Action    = "s3:GetBucketAcl"
        Resource  = aws_s3_bucket.trail[0].arn
        Condition = { StringEquals = { "aws:SourceArn" = local.trail_arn } }
      },
      {
        Sid       = "TrailWrites"
        Effect    = "Allow"
        Principal = { Service = "cloudtrail.amazonaws.com" }
        Action    = "s3:PutObject"
        Resource  = "${aws_s3_bucket.trail[0].arn}/AWSLogs/${local.account}/*"
        Condition = {
          StringEquals = {
            "aws:SourceArn" = local.trail_arn
            "s3:x-amz-acl"  = "bucket-owner-full-control"
          }
        }
      },
      {
        Sid       = "OnlyTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [aws_s3_bucket.trail[0].arn, "${aws_s3_bucket.trail[0].arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}
