terraform {
  # Validation that compares variables came with 1.9.
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source = "hashicorp/aws"
      # Tested with the schema of 6.69.1.
      version = ">= 6.0, < 7.0"
    }
  }
}
