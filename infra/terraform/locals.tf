data "aws_partition" "this" {}

data "aws_caller_identity" "this" {}

data "aws_region" "this" {}

locals {
  # The release of this module and of its package.
  version   = "0.2.0"
  partition = data.aws_partition.this.partition
  account   = data.aws_caller_identity.this.account_id
  region    = data.aws_region.this.region

  # null leaves the argument out.
  tags = length(var.tags) == 0 ? null : var.tags

  # `unthrottle pause` finds by this tag the rules and the schedule that wake the function.
  stack_tags = merge(var.tags, { "unthrottle:stack" = var.name })

  # The clause of the queries that leaves out the streams of linked accounts.
  where = var.this_account_only == "allow" ? " WHERE AWS.AccountId = CURRENT_ACCOUNT_ID()" : ""

  watches_readers = var.readers_behind_alarm == "allow"

  boundary     = var.permissions_boundary == "" ? null : var.permissions_boundary
  is_scheduled = var.sweep_trigger == "schedule"
}
