# A stream that Terraform makes and unthrottle heals. Without the lifecycle below, every `terraform apply` takes the healing
# back, and after the second time in 24 hours unthrottle gives the stream up (`tug_of_war`).

terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.25"
    }
  }
}

provider "aws" {
  region = "eu-central-1"

  default_tags {
    tags = { team = "orders" }
  }

  # unthrottle's memory of a stream: the provider leaves this tag out of what it reads, out of `tags` and of `tags_all`, which
  # has the default_tags in it, too. So Terraform never removes it.
  ignore_tags {
    keys = ["unthrottle.memory"]
  }
}

# What the stream has when it is made. Raise it when unthrottle has found that this is too little, and a stream that is made
# anew starts with what the old one needed.
variable "shard_count" {
  description = "Shards of the stream when it is made. Later the stream has what unthrottle has found that it needs."
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

  # The stream's own policy, for unthrottle to obey. Only people set these: unthrottle's role may not.
  tags = {
    "unthrottle.mode"       = "heal"
    "unthrottle.max-shards" = "50"
  }

  lifecycle {
    # What unthrottle may change, and nothing else. The last one is for a provider without the ignore_tags above.
    ignore_changes = [
      shard_count,
      stream_mode_details,
      shard_level_metrics,
      tags["unthrottle.memory"],
    ]

    # The records in it would be lost.
    prevent_destroy = true
  }
}

# For a stream that is there already: it comes into Terraform with the capacity that it has by then. Delete this block
# afterwards, or at once if Terraform is to make the stream.
import {
  to = aws_kinesis_stream.orders
  id = "orders"
}
