mock_provider "aws" {
  source = "../../mocks"
}

variables {
  consul_http_addr = "https://consul.example.com:8501"
  zip_file         = "main.tf" # any file that is there
}

run "schedule_and_events" {
  assert {
    condition     = aws_cloudwatch_event_rule.schedule.schedule_expression == "rate(5 minutes)"
    error_message = "The schedule is ${aws_cloudwatch_event_rule.schedule.schedule_expression}."
  }

  assert {
    condition     = aws_cloudwatch_event_target.schedule.arn == aws_lambda_function.this.arn && aws_cloudwatch_event_target.schedule.rule == aws_cloudwatch_event_rule.schedule.name
    error_message = "The schedule does not invoke the function."
  }

  assert {
    condition     = toset(keys(output.rule_arns)) == toset(["schedule", "calls", "tags"])
    error_message = "The rules are ${jsonencode(keys(output.rule_arns))}."
  }

  assert {
    condition     = { for key, permission in aws_lambda_permission.events : key => permission.source_arn } == output.rule_arns
    error_message = "Not just these rules may invoke the function."
  }

  assert {
    condition     = alltrue([for permission in aws_lambda_permission.events : permission.principal == "events.amazonaws.com" && permission.action == "lambda:InvokeFunction"])
    error_message = "Somebody else than EventBridge may invoke the function."
  }

  assert {
    condition     = aws_cloudwatch_event_target.schedule.dead_letter_config[0].arn == aws_sqs_queue.dead_letters.arn
    error_message = "What EventBridge cannot deliver goes nowhere."
  }

  assert {
    condition     = toset(jsondecode(aws_sqs_queue_policy.dead_letters.policy).Statement[0].Condition.ArnEquals["aws:SourceArn"]) == toset(values(output.rule_arns))
    error_message = "Not just these rules may write to the dead-letter queue."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.dead_letters.dimensions.QueueName == aws_sqs_queue.dead_letters.name && aws_cloudwatch_metric_alarm.dead_letters.threshold == 0
    error_message = "The alarm is of another queue, or goes on late."
  }
}

# EventBridge knows "1 minute" and refuses "1 minutes".
run "every_minute" {
  variables {
    sync_frequency_in_minutes = 1
  }

  assert {
    condition     = aws_cloudwatch_event_rule.schedule.schedule_expression == "rate(1 minute)"
    error_message = "The schedule is ${aws_cloudwatch_event_rule.schedule.schedule_expression}."
  }
}
