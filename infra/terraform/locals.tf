data "aws_partition" "this" {}

data "aws_caller_identity" "this" {}

data "aws_region" "this" {}

locals {
  partition = data.aws_partition.this.partition
  account   = data.aws_caller_identity.this.account_id
  region    = data.aws_region.this.region

  # `unthrottle pause` finds by this tag the rules and the schedule that wake the function.
  stack_tag = { "unthrottle:stack" = var.name }
}
