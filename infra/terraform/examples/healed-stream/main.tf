# Terraform creates this stream, and unthrottle heals it. Without the lifecycle below, every `terraform apply` reverts
# the change. After the second revert in 24 hours, unthrottle adds no more capacity (`tug_of_war`).

terraform {
  required_version = ">= 1.6"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.25, < 8"
    }
  }
}

provider "aws" {
  region = "eu-central-1"

  default_tags {
    tags = { team = "orders" }
  }

  # This tag is unthrottle's memory of a stream. The provider ignores it in `tags` and in `tags_all`, so Terraform never
  # removes it. `tags_all` also holds the default_tags.
  ignore_tags {
    keys = ["unthrottle.memory"]
  }
}

# Raise the default after unthrottle raised the shard count. A new stream then starts with the shards that the old one
# needed.
variable "shard_count" {
  description = "Shards of a new stream. unthrottle changes the count later."
  type        = number
  default     = 2
  nullable    = false
}

resource "aws_kinesis_stream" "orders" {
  name             = "orders"
  shard_count      = var.shard_count
  retention_period = 24
  encryption_type  = "KMS"
  kms_key_id       = "alias/aws/kinesis"

  stream_mode_details {
    stream_mode = "PROVISIONED"
  }

  # The stream's own policy for unthrottle. Only people set these tags: unthrottle's role may not.
  tags = {
    "unthrottle.mode"       = "heal"
    "unthrottle.max-shards" = "50"
  }

  lifecycle {
    # These are all that unthrottle may change. The last one is for a provider without the ignore_tags above.
    ignore_changes = [
      shard_count,
      stream_mode_details,
      shard_level_metrics,
      tags["unthrottle.memory"],
    ]

    # A deletion would lose the records.
    prevent_destroy = true
  }
}

# This block brings an existing stream into Terraform, with its present capacity. Delete the block afterwards. Delete it
# at once if the stream does not exist yet.
import {
  to = aws_kinesis_stream.orders
  id = "orders"
}
