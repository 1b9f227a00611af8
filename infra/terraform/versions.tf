terraform {
  # `import` blocks, which the example of a healed stream has, are the newest thing used.
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source = "hashicorp/aws"
      # Every argument is checked against the schema of 6.25 (tests/infra/aws_provider_schema.json).
      version = "~> 6.25"
    }
  }
}
