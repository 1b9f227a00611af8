terraform {
  # `terraform test`, which checks the variables, needs 1.6.
  required_version = ">= 1.6"

  required_providers {
    aws = {
      source = "hashicorp/aws"
      # A test checks every argument against the schema of 6.25 (tests/infra/aws_provider_schema.json).
      version = ">= 6.25, < 8"
    }
  }
}
