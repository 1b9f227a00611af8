# unthrottle in two regions of one account. Each region has its own call of the module and its own provider, and the
# alias names the region. Global names carry the region, so the two calls do not collide.

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
  alias  = "frankfurt"
  region = "eu-central-1"
}

provider "aws" {
  alias  = "virginia"
  region = "us-east-1"
}

variable "package" {
  description = "The function's package: target/lambda/unthrottle-arm64.zip after `make lambda`, or the file of a release"
  type        = string
  nullable    = false
}

module "frankfurt" {
  source    = "../.."
  providers = { aws = aws.frankfurt }

  package            = var.package
  notification_email = "ops@example.com"
}

module "virginia" {
  source    = "../.."
  providers = { aws = aws.virginia }

  package            = var.package
  notification_email = "ops@example.com"

  # A larger fleet: a stream may have more shards, and unthrottle takes shards back after six hours without throttling.
  max_shards          = 400
  restore_after_hours = 6
}

output "topic_arns" {
  description = "The topic of each region"

  value = {
    eu-central-1 = module.frankfurt.topic_arn
    us-east-1    = module.virginia.topic_arn
  }
}
