# unthrottle in one region. From the root of the repository: `make lambda`, then here `terraform init` and `terraform apply`.

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
}

module "unthrottle" {
  source = "../.."

  package = "${path.module}/../../../../target/lambda/unthrottle-arm64.zip"

  # For the first week: it looks, decides and tells, and changes nothing.
  mode               = "observe"
  notification_email = "ops@example.com"
}

output "topic_arn" {
  description = "Whatever else should hear of changes, and of what needs a person, subscribes to it"
  value       = module.unthrottle.topic_arn
}
