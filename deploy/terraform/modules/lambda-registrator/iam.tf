resource "aws_iam_role" "this" {
  name        = var.name
  description = "The registrator of Lambda functions in Consul"
  tags        = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

locals {
  parameter_arns = [
    for name in compact([local.ca_cert_path, local.http_token_path]) :
    "arn:${data.aws_partition.current.partition}:ssm:${local.place}:parameter/${trimprefix(name, "/")}"
  ]

  network_interfaces = [
    "ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses",
  ]

  # Each action has its reason. It reads functions, and never their code.
  statements = concat(
    [
      {
        Sid    = "ListFunctions"
        Effect = "Allow"
        Action = [
          "tag:GetResources",     # the functions that are switched on, with their tags
          "lambda:ListFunctions", # their timeouts, and all functions where tag:GetResources is denied
        ]
        Resource = ["*"] # neither can be bound to resources
      },
      {
        Sid    = "ReadFunctions"
        Effect = "Allow"
        Action = [
          "lambda:ListTags",                 # that a function is gone or switched off is asked before anything is deleted
          "lambda:GetFunctionConfiguration", # the timeout of the function that an event is of
          "lambda:GetFunctionUrlConfig",     # the URLs of functions that are called by them
        ]
        Resource = ["arn:${data.aws_partition.current.partition}:lambda:${local.place}:function:*"]
      },
      {
        Sid    = "Log"
        Effect = "Allow"
        Action = [
          "logs:CreateLogStream", # one for each execution environment
          "logs:PutLogEvents",    # the log
        ]
        Resource = ["arn:${data.aws_partition.current.partition}:logs:${local.place}:log-group:/aws/lambda/${var.name}:*"]
      },
      {
        Sid      = "DeadLetters"
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"] # AWS Lambda puts events there, with this role, that failed three times
        Resource = [aws_sqs_queue.dead_letters.arn]
      },
    ],
    [for parameters in [{
      Sid      = "Parameters"
      Effect   = "Allow"
      Action   = ["ssm:GetParameter"] # Consul's token, and the authority of its certificate
      Resource = local.parameter_arns
    }] : parameters if length(local.parameter_arns) > 0],
    [for keys in [{
      Sid      = "DecryptParameters"
      Effect   = "Allow"
      Action   = ["kms:Decrypt"] # these parameters, and nothing else that the keys encrypt
      Resource = var.kms_key_arns
      Condition = {
        StringEquals = { "kms:EncryptionContext:PARAMETER_ARN" = local.parameter_arns }
      }
    }] : keys if length(var.kms_key_arns) > 0],
    [for vpc in [
      {
        Sid      = "NetworkInterfaces"
        Effect   = "Allow"
        Action   = local.network_interfaces # AWS Lambda puts the function into the VPC, with this role
        Resource = ["*"]                    # it makes them with names of its own
      },
      {
        Sid       = "NoNetworkInterfacesByTheProgram"
        Effect    = "Deny"
        Action    = local.network_interfaces # what AWS Lambda needs is not for the program itself
        Resource  = ["*"]
        Condition = { ArnEquals = { "lambda:SourceFunctionArn" = [local.function_arn] } }
      },
    ] : vpc if length(var.subnet_ids) > 0],
  )
}

resource "aws_iam_role_policy" "this" {
  name   = var.name
  role   = aws_iam_role.this.id
  policy = jsonencode({ Version = "2012-10-17", Statement = local.statements })
}
