mock_provider "aws" {
  source = "../../mocks"
}

variables {
  consul_http_addr = "https://consul.example.com:8501"
  zip_file         = "main.tf" # any file that is there
}

run "defaults" {
  assert {
    condition = jsonencode(aws_lambda_function.this.environment[0].variables) == jsonencode({
      CONSUL_HTTP_ADDR = "https://consul.example.com:8501", NODE_NAME = "lambdas", LOG_LEVEL = "info",
    })
    error_message = "The environment is ${jsonencode(aws_lambda_function.this.environment[0].variables)}."
  }

  assert {
    condition     = aws_lambda_function.this.package_type == "Zip" && aws_lambda_function.this.runtime == "provided.al2023" && aws_lambda_function.this.handler == "bootstrap"
    error_message = "The zip file does not run as AWS Lambda's own runtime."
  }

  assert {
    condition     = aws_lambda_function.this.source_code_hash == filebase64sha256("main.tf")
    error_message = "A changed zip file would not be noticed."
  }

  assert {
    condition     = aws_lambda_function.this.timeout == 60 && aws_lambda_function.this.reserved_concurrent_executions == 1 && one(aws_lambda_function.this.architectures) == "x86_64"
    error_message = "A default is not what the README says."
  }

  assert {
    condition     = length(aws_lambda_function.this.vpc_config) == 0
    error_message = "It is in a VPC that nobody asked for."
  }

  assert {
    condition     = aws_lambda_function.this.dead_letter_config[0].target_arn == aws_sqs_queue.dead_letters.arn
    error_message = "Events that fail go nowhere."
  }

  assert {
    condition     = aws_cloudwatch_log_group.this.name == "/aws/lambda/${aws_lambda_function.this.function_name}" && aws_cloudwatch_log_group.this.retention_in_days == 30
    error_message = "The log group is not the one that AWS Lambda writes to."
  }

  assert {
    condition     = toset([for s in jsondecode(aws_iam_role_policy.this.policy).Statement : s.Sid]) == toset(["ListFunctions", "ReadFunctions", "Log", "DeadLetters"])
    error_message = "The policy has more or less than what is needed by all."
  }
}

# As in Consul's documentation.
run "names_of_the_documentation" {
  variables {
    name            = "registrator"
    ca_cert_path    = "/lambda-registrator/ca-cert"
    http_token_path = "/lambda-registrator/acl-token"
  }

  assert {
    condition     = aws_lambda_function.this.environment[0].variables.CONSUL_CACERT_PATH == "/lambda-registrator/ca-cert" && aws_lambda_function.this.environment[0].variables.CONSUL_HTTP_TOKEN_PATH == "/lambda-registrator/acl-token"
    error_message = "The parameters' names do not reach the program."
  }

  assert {
    condition = one([for s in jsondecode(aws_iam_role_policy.this.policy).Statement : s.Resource if s.Sid == "Parameters"]) == [
      "arn:aws:ssm:us-east-1:123456789012:parameter/lambda-registrator/ca-cert",
      "arn:aws:ssm:us-east-1:123456789012:parameter/lambda-registrator/acl-token",
    ]
    error_message = "The role may not read just these parameters."
  }

  assert {
    condition     = output.function_name == "registrator" && output.role_name == "registrator" && output.log_group_name == "/aws/lambda/registrator"
    error_message = "The name is not taken."
  }
}

# As in the module's own variables, and all else that the environment has.
run "everything" {
  variables {
    consul_ca_cert_path            = "ca-cert"
    consul_http_token_path         = "/acl-token"
    kms_key_arns                   = ["arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"]
    consul_datacenter              = "dc2"
    node_name                      = "functions"
    enterprise                     = true
    partitions                     = ["default", "shop"]
    page_size                      = 20
    log_level                      = "debug"
    timeout                        = 300
    memory_size                    = 1024
    reserved_concurrent_executions = -1
    arch                           = "arm64"
    log_retention_in_days          = 0
    alarm_actions                  = ["arn:aws:sns:us-east-1:123456789012:on-call"]
    tags                           = { team = "mesh" }
  }

  assert {
    condition = jsonencode(aws_lambda_function.this.environment[0].variables) == jsonencode({
      CONSUL_HTTP_ADDR = "https://consul.example.com:8501", CONSUL_CACERT_PATH = "ca-cert", CONSUL_HTTP_TOKEN_PATH = "/acl-token",
      DATACENTER       = "dc2", NODE_NAME = "functions", ENTERPRISE = "true", PARTITIONS = "default,shop", PAGE_SIZE = "20", LOG_LEVEL = "debug",
    })
    error_message = "The environment is ${jsonencode(aws_lambda_function.this.environment[0].variables)}."
  }

  assert {
    condition = one([for s in jsondecode(aws_iam_role_policy.this.policy).Statement : s if s.Sid == "DecryptParameters"]).Condition.StringEquals["kms:EncryptionContext:PARAMETER_ARN"] == [
      "arn:aws:ssm:us-east-1:123456789012:parameter/ca-cert",
      "arn:aws:ssm:us-east-1:123456789012:parameter/acl-token",
    ]
    error_message = "The role may decrypt other things than its parameters."
  }

  assert {
    condition     = aws_lambda_function.this.timeout == 300 && aws_lambda_function.this.memory_size == 1024 && aws_lambda_function.this.reserved_concurrent_executions == -1 && one(aws_lambda_function.this.architectures) == "arm64"
    error_message = "A setting of the function is not taken."
  }

  assert {
    condition     = one(aws_cloudwatch_metric_alarm.dead_letters.alarm_actions) == "arn:aws:sns:us-east-1:123456789012:on-call" && one(aws_cloudwatch_metric_alarm.dead_letters.ok_actions) == "arn:aws:sns:us-east-1:123456789012:on-call"
    error_message = "The alarm tells nobody."
  }

  assert {
    condition = alltrue([for tags in [
      aws_lambda_function.this.tags, aws_iam_role.this.tags, aws_cloudwatch_log_group.this.tags, aws_sqs_queue.dead_letters.tags,
      aws_cloudwatch_metric_alarm.dead_letters.tags, aws_cloudwatch_event_rule.schedule.tags,
    ] : tags == tomap({ team = "mesh" })])
    error_message = "Something has no tags."
  }
}

run "an_image" {
  variables {
    zip_file      = ""
    ecr_image_uri = "123456789012.dkr.ecr.us-east-1.amazonaws.com/lambda-registrator:1.0"
  }

  assert {
    condition     = aws_lambda_function.this.package_type == "Image" && aws_lambda_function.this.image_uri == "123456789012.dkr.ecr.us-east-1.amazonaws.com/lambda-registrator:1.0"
    error_message = "It does not run the image."
  }

  assert {
    condition     = aws_lambda_function.this.runtime == null && aws_lambda_function.this.handler == null && aws_lambda_function.this.filename == null
    error_message = "AWS Lambda refuses an image with a runtime, a handler or a file."
  }
}

run "in_a_vpc" {
  variables {
    subnet_ids         = ["subnet-1", "subnet-2"]
    security_group_ids = ["sg-1"]
  }

  assert {
    condition     = aws_lambda_function.this.vpc_config[0].subnet_ids == toset(["subnet-1", "subnet-2"]) && aws_lambda_function.this.vpc_config[0].security_group_ids == toset(["sg-1"])
    error_message = "It is not in the VPC."
  }

  assert {
    condition     = toset([for s in jsondecode(aws_iam_role_policy.this.policy).Statement : s.Effect if can(regex("^ec2:", s.Action[0]))]) == toset(["Allow", "Deny"])
    error_message = "AWS Lambda may not make network interfaces, or the program may."
  }

  assert {
    condition     = one([for s in jsondecode(aws_iam_role_policy.this.policy).Statement : s.Condition.ArnEquals["lambda:SourceFunctionArn"] if s.Effect == "Deny"]) == ["arn:aws:lambda:us-east-1:123456789012:function:consul-lambda-registrator"]
    error_message = "What is denied to the program is denied to somebody else."
  }
}
