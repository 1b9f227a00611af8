terraform {
  # The example of a healed stream has an `import` block, which needs Terraform 1.5.
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source = "hashicorp/aws"
      # A test checks every argument against the schema of 6.25 (tests/infra/aws_provider_schema.json).
      version = "~> 6.25"
    }
  }
}
