# The registrator from the zip file that `make lambda-zip` builds, against a Consul with
# ACLs and a certificate of its own authority, as in Consul's documentation.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.0, < 7.0"
    }
  }
}

provider "aws" {
  region = "us-east-1"
}

variable "consul_ca_cert" {
  description = "The authority of Consul's certificate, PEM."
  type        = string
}

variable "consul_token" {
  description = "Consul's ACL token for the registrator. It is kept in Terraform's state too."
  type        = string
  sensitive   = true
}

variable "zip_file" {
  description = "The function's zip file."
  type        = string
  default     = "../../../../build/lambda-registrator-arm64.zip"
}

resource "aws_ssm_parameter" "ca_cert" {
  #checkov:skip=CKV_AWS_337: AWS's own key for Parameter Store will do for an authority.
  name  = "/lambda-registrator/ca-cert"
  type  = "SecureString"
  value = var.consul_ca_cert
}

resource "aws_ssm_parameter" "acl_token" {
  #checkov:skip=CKV_AWS_337: With a key of your own, give its ARN as kms_key_arns too.
  name  = "/lambda-registrator/acl-token"
  type  = "SecureString"
  value = var.consul_token
}

module "lambda_registrator" {
  source = "../../modules/lambda-registrator"

  name             = "consul-lambda-registrator"
  zip_file         = var.zip_file
  arch             = "arm64"
  consul_http_addr = "https://consul.example.com:8501"
  ca_cert_path     = aws_ssm_parameter.ca_cert.name
  http_token_path  = aws_ssm_parameter.acl_token.name
}

output "function_name" {
  description = "For a sync by hand: aws lambda invoke with the payload of a schedule."
  value       = module.lambda_registrator.function_name
}
