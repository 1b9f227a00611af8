data "aws_partition" "this" {}

data "aws_caller_identity" "this" {}

data "aws_region" "this" {}

locals {
  partition = data.aws_partition.this.partition
  account   = data.aws_caller_identity.this.account_id
  region    = data.aws_region.this.region

  # By this tag `unthrottle pause` finds what wakes the function.
  stack_tag = { "unthrottle:stack" = var.name }
}
