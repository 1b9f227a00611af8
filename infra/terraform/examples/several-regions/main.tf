# unthrottle in two regions of one account: the module once for each, and each with a provider of its own. The provider's
# alias says the region. Names that are global carry it, so the two do not meet.

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
  alias  = "frankfurt"
  region = "eu-central-1"
}

provider "aws" {
  alias  = "virginia"
  region = "us-east-1"
}

locals {
  package = "${path.module}/../../../../target/lambda/unthrottle-arm64.zip"
}

module "frankfurt" {
  source    = "../.."
  providers = { aws = aws.frankfurt }

  package            = local.package
  notification_email = "ops@example.com"
}

module "virginia" {
  source    = "../.."
  providers = { aws = aws.virginia }

  package            = local.package
  notification_email = "ops@example.com"

  # A bigger fleet: more shards for a stream, and capacity given back after six calm hours.
  max_shards          = 400
  restore_after_hours = 6
}

output "topic_arns" {
  description = "Where each region tells people"

  value = {
    eu-central-1 = module.frankfurt.topic_arn
    us-east-1    = module.virginia.topic_arn
  }
}
