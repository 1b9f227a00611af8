# unthrottle in one region. Run `terraform init` here, and `terraform apply -var package=FILE`.

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
}

variable "package" {
  description = "The function's package: target/lambda/unthrottle-arm64.zip after `make lambda`, or the file of a release"
  type        = string
  nullable    = false
}

module "unthrottle" {
  source = "../.."

  package = var.package

  # For the first week: unthrottle observes, decides and reports, and changes nothing.
  mode               = "observe"
  notification_email = "ops@example.com"
}

output "topic_arn" {
  description = "Subscribe to this topic to receive changes and holds that need a person"
  value       = module.unthrottle.topic_arn
}
