# What invokes the function: a schedule, which is a full sync, and events, each of which
# is a look at one function.

resource "aws_cloudwatch_event_rule" "schedule" {
  name                = "${var.name}-schedule"
  description         = "Full sync of Lambda functions to Consul"
  schedule_expression = "rate(${var.sync_frequency_in_minutes} ${var.sync_frequency_in_minutes == 1 ? "minute" : "minutes"})"
  tags                = var.tags
}

resource "aws_cloudwatch_event_target" "schedule" {
  rule = aws_cloudwatch_event_rule.schedule.name
  arn  = aws_lambda_function.this.arn

  dead_letter_config {
    arn = aws_sqs_queue.dead_letters.arn
  }
}

module "events" {
  source = "../event-rules"

  name                  = var.name
  target_arn            = aws_lambda_function.this.arn
  dead_letter_queue_arn = aws_sqs_queue.dead_letters.arn
  tags                  = var.tags
}

locals {
  rule_arns = merge({ schedule = aws_cloudwatch_event_rule.schedule.arn }, module.events.rule_arns)
}

resource "aws_lambda_permission" "events" {
  for_each = local.rule_arns

  statement_id  = "${var.name}-${each.key}"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this.function_name
  principal     = "events.amazonaws.com"
  source_arn    = each.value
}
