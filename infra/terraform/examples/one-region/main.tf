# unthrottle in one region. Run `make lambda` at the root of the repository, then `terraform init` and `terraform apply`
# here.

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

module "unthrottle" {
  source = "../.."

  package = "${path.module}/../../../../target/lambda/unthrottle-arm64.zip"

  # For the first week: unthrottle observes, decides and reports, and changes nothing.
  mode               = "observe"
  notification_email = "ops@example.com"
}

output "topic_arn" {
  description = "Subscribe to this topic to receive changes and holds that need a person"
  value       = module.unthrottle.topic_arn
}
