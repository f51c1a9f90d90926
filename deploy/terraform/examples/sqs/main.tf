# Events by SQS for a lambdamesh that runs on EC2, ECS or EKS: what it needs in AWS, all
# of its rights included.

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

variable "role_name" {
  description = "The role that lambdamesh runs with."
  type        = string
}

module "lambda_events" {
  source = "../../modules/lambda-events"

  name = "lambdamesh-events"
}

resource "aws_iam_role_policy_attachment" "events" {
  role       = var.role_name
  policy_arn = module.lambda_events.reader_policy_arn
}

# What the registrator needs with events and without.
resource "aws_iam_role_policy" "registrator" {
  #checkov:skip=CKV_AWS_355: These actions cannot be bound to resources, or read the tags of any function.
  name = "lambdamesh-registrator"
  role = var.role_name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect = "Allow"
      Action = [
        "tag:GetResources",                # the functions that are switched on, with their tags
        "lambda:ListFunctions",            # their timeouts
        "lambda:ListTags",                 # asked before anything is deleted
        "lambda:GetFunctionConfiguration", # the timeout of the function that an event is of
        "lambda:GetFunctionUrlConfig",     # the URLs of functions that are called by them
      ]
      Resource = "*"
    }]
  })
}

output "command" {
  description = "The registrator that follows these events."
  value       = "lambdamesh registrator --sqs-queue-url ${module.lambda_events.queue_url}"
}
