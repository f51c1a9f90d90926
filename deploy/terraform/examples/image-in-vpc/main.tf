# The registrator from an image, in the VPC of a Consul that has no public address, for one
# datacenter, with an alarm that is told to somebody.

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

variable "image" {
  description = "The image, in a private ECR repository of this region."
  type        = string
}

variable "vpc_id" {
  description = "The VPC that Consul is in."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets of it, from which AWS's own APIs can be reached: by a NAT gateway, or by endpoints for Lambda, Parameter Store and the tagging API."
  type        = list(string)
}

variable "on_call_topic_arn" {
  description = "The SNS topic that is told of alarms."
  type        = string
}

# Outwards only: nothing connects to the function.
resource "aws_security_group" "registrator" {
  #checkov:skip=CKV2_AWS_5: The function has it, by the module.
  name        = "consul-lambda-registrator"
  description = "The registrator of Lambda functions in Consul"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_egress_rule" "https" {
  security_group_id = aws_security_group.registrator.id
  description       = "APIs of AWS"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "consul" {
  security_group_id = aws_security_group.registrator.id
  description       = "The API of Consul"
  cidr_ipv4         = "10.0.0.0/8"
  ip_protocol       = "tcp"
  from_port         = 8501
  to_port           = 8501
}

module "lambda_registrator" {
  source = "../../modules/lambda-registrator"

  name                   = "consul-lambda-registrator"
  ecr_image_uri          = var.image
  consul_http_addr       = "https://consul.service.consul:8501"
  consul_ca_cert_path    = "/lambda-registrator/ca-cert"
  consul_http_token_path = "/lambda-registrator/acl-token"
  consul_datacenter      = "dc1"
  subnet_ids             = var.subnet_ids
  security_group_ids     = [aws_security_group.registrator.id]
  alarm_actions          = [var.on_call_topic_arn]
  tags                   = { team = "mesh" }
}
