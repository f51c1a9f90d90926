mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name                  = "events"
  target_arn            = "arn:aws:sqs:us-east-1:123456789012:events"
  dead_letter_queue_arn = "arn:aws:sqs:us-east-1:123456789012:events-dead-letters"
}

run "rules_to_a_target" {
  assert {
    condition     = alltrue([for key, rule in aws_cloudwatch_event_rule.this : rule.name == "events-${key}" && output.rule_arns[key] == rule.arn])
    error_message = "The rules are ${jsonencode(aws_cloudwatch_event_rule.this)}."
  }

  assert {
    condition = alltrue([for key, target in aws_cloudwatch_event_target.this :
      target.rule == "events-${key}" && target.arn == var.target_arn && target.dead_letter_config[0].arn == var.dead_letter_queue_arn
    ])
    error_message = "A rule leads elsewhere."
  }
}
