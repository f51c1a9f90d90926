# The registrator as a function of AWS Lambda, the rules of EventBridge that invoke it
# (events.tf), what it may do (iam.tf), and where events go that came to nothing
# (dead_letters.tf).

data "aws_partition" "current" {}

data "aws_region" "current" {}

data "aws_caller_identity" "current" {}

locals {
  # Of two names of one parameter at most one is given.
  ca_cert_path    = var.consul_ca_cert_path == "" ? var.ca_cert_path : var.consul_ca_cert_path
  http_token_path = var.consul_http_token_path == "" ? var.http_token_path : var.consul_http_token_path

  # The environment of Consul's own registrator. What is empty is left out, so that the
  # program's default holds.
  environment = {
    CONSUL_HTTP_ADDR       = var.consul_http_addr
    CONSUL_CACERT_PATH     = local.ca_cert_path
    CONSUL_HTTP_TOKEN_PATH = local.http_token_path
    NODE_NAME              = var.node_name
    DATACENTER             = var.consul_datacenter
    ENTERPRISE             = var.enterprise ? "true" : ""
    PARTITIONS             = join(",", var.partitions)
    PAGE_SIZE              = var.page_size > 0 ? tostring(var.page_size) : ""
    LOG_LEVEL              = var.log_level
  }

  # AWS's names, made here too: the role's policy speaks of the function, which needs the
  # role.
  place        = "${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}"
  function_arn = "arn:${data.aws_partition.current.partition}:lambda:${local.place}:function:${var.name}"
}

resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_158: The log has no secrets; CloudWatch encrypts it with a key of its own.
  #checkov:skip=CKV_AWS_338: How long logs are kept is the operator's choice (log_retention_in_days).

  # The name that AWS Lambda writes to. Made here, because AWS Lambda would make it
  # without a retention.
  name              = "/aws/lambda/${var.name}"
  retention_in_days = var.log_retention_in_days
  tags              = var.tags
}

resource "aws_lambda_function" "this" {
  #checkov:skip=CKV_AWS_50: The program sends no traces, so there is nothing to trace.
  #checkov:skip=CKV_AWS_117: Whether Consul is reached from a VPC is the operator's choice (subnet_ids).
  #checkov:skip=CKV_AWS_173: The environment has names of parameters, and no secrets.
  #checkov:skip=CKV_AWS_272: Signing needs a signing profile of the operator's; the zip's build is reproducible.

  function_name = var.name
  description   = "Keeps Consul in step with the tags of Lambda functions"
  role          = aws_iam_role.this.arn
  architectures = [var.arch]

  package_type     = var.ecr_image_uri == "" ? "Zip" : "Image"
  image_uri        = var.ecr_image_uri == "" ? null : var.ecr_image_uri
  filename         = var.zip_file == "" ? null : var.zip_file
  source_code_hash = var.zip_file == "" ? null : filebase64sha256(var.zip_file)
  runtime          = var.zip_file == "" ? null : "provided.al2023"
  handler          = var.zip_file == "" ? null : "bootstrap"

  timeout                        = var.timeout
  memory_size                    = var.memory_size
  reserved_concurrent_executions = var.reserved_concurrent_executions

  environment {
    variables = { for name, value in local.environment : name => value if value != "" }
  }

  dead_letter_config {
    target_arn = aws_sqs_queue.dead_letters.arn
  }

  dynamic "vpc_config" {
    for_each = length(var.subnet_ids) > 0 ? [true] : []

    content {
      subnet_ids         = var.subnet_ids
      security_group_ids = var.security_group_ids
    }
  }

  tags = var.tags

  # AWS Lambda checks at once that the role may write to the dead-letter queue and make
  # network interfaces.
  depends_on = [aws_iam_role_policy.this, aws_cloudwatch_log_group.this]
}
