# The events of Lambda functions that a registrator reads: no others, so that it is not
# woken for nothing. A test holds the patterns against the code that reads the events.

locals {
  # The calls that change what a registrator reads.
  calls = [
    "CreateFunction", "DeleteFunction", "UpdateFunctionConfiguration",
    "TagResource", "UntagResource",
    "CreateAlias", "UpdateAlias", "DeleteAlias",
    "CreateFunctionUrlConfig", "DeleteFunctionUrlConfig",
  ]

  patterns = {
    # Needs a trail of CloudTrail's for management events in the region.
    calls = {
      description = "Calls that change Lambda functions, their tags or aliases"
      pattern = {
        source      = ["aws.lambda"]
        detail-type = ["AWS API Call via CloudTrail"]
        detail = {
          eventSource = ["lambda.amazonaws.com"]
          # CloudTrail ends the names of Lambda's calls with the date of the API, as in
          # TagResource20170331v2. The 20 of that date keeps others out that begin alike,
          # as DeleteFunctionConcurrency does.
          eventName = concat(local.calls, [for call in local.calls : { prefix = "${call}20" }])
          # What failed changed nothing.
          errorCode = [{ exists = false }]
        }
      }
    }

    tags = {
      description = "Tags of Lambda functions that a registrator reads"
      pattern = {
        source      = ["aws.tag"]
        detail-type = ["Tag Change on Resource"]
        detail = {
          service       = ["lambda"]
          resource-type = ["function"]
          # The second prefix stands in an example of Consul's documentation.
          changed-tag-keys = [
            { prefix = "serverless.consul.hashicorp.com/v1alpha1/lambda/" },
            { prefix = "serverless.consul.hashicorp.com/alpha/lambda/" },
          ]
        }
      }
    }
  }
}

resource "aws_cloudwatch_event_rule" "this" {
  for_each = local.patterns

  name          = "${var.name}-${each.key}"
  description   = each.value.description
  event_pattern = jsonencode(each.value.pattern)
  tags          = var.tags
}

resource "aws_cloudwatch_event_target" "this" {
  for_each = aws_cloudwatch_event_rule.this

  rule = each.value.name
  arn  = var.target_arn

  dead_letter_config {
    arn = var.dead_letter_queue_arn
  }
}
