mock_provider "aws" {
  source = "../../mocks"
}

run "rules_to_queue" {
  variables {
    tags          = { team = "mesh" }
    alarm_actions = ["arn:aws:sns:us-east-1:123456789012:on-call"]
  }

  assert {
    condition     = jsondecode(aws_sqs_queue.events.redrive_policy) == { deadLetterTargetArn = aws_sqs_queue.dead_letters.arn, maxReceiveCount = 5 }
    error_message = "An event that nobody can do is delivered for ever, or gets lost."
  }

  assert {
    condition     = jsondecode(aws_sqs_queue_redrive_allow_policy.dead_letters.redrive_allow_policy).sourceQueueArns == [aws_sqs_queue.events.arn]
    error_message = "Other queues may use the dead-letter queue."
  }

  assert {
    condition = alltrue([for policy in [aws_sqs_queue_policy.events.policy, aws_sqs_queue_policy.dead_letters.policy] :
      toset(one(jsondecode(policy).Statement).Condition.ArnEquals["aws:SourceArn"]) == toset(values(output.rule_arns))
    ])
    error_message = "Not just the rules may write to the queues."
  }

  assert {
    condition     = one(jsondecode(aws_sqs_queue_policy.events.policy).Statement).Resource == aws_sqs_queue.events.arn && aws_sqs_queue_policy.events.queue_url == aws_sqs_queue.events.url
    error_message = "The queue's policy is of another queue."
  }

  assert {
    condition     = one(jsondecode(aws_sqs_queue_policy.dead_letters.policy).Statement).Resource == aws_sqs_queue.dead_letters.arn && aws_sqs_queue_policy.dead_letters.queue_url == aws_sqs_queue.dead_letters.url
    error_message = "The dead-letter queue's policy is of another queue."
  }

  assert {
    condition     = toset(keys(output.rule_arns)) == toset(["calls", "tags"])
    error_message = "The rules are ${jsonencode(keys(output.rule_arns))}."
  }

  assert {
    condition     = one(jsondecode(aws_iam_policy.reader.policy).Statement).Resource == aws_sqs_queue.events.arn
    error_message = "The reader's policy is of another queue."
  }

  assert {
    condition     = aws_sqs_queue.events.visibility_timeout_seconds == 30 && aws_sqs_queue.events.message_retention_seconds == 3600 && aws_sqs_queue.events.sqs_managed_sse_enabled && aws_sqs_queue.dead_letters.sqs_managed_sse_enabled
    error_message = "A default is not what the README says."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.dead_letters.dimensions.QueueName == aws_sqs_queue.dead_letters.name && one(aws_cloudwatch_metric_alarm.dead_letters.alarm_actions) == "arn:aws:sns:us-east-1:123456789012:on-call"
    error_message = "The alarm is of another queue, or tells nobody."
  }
}
