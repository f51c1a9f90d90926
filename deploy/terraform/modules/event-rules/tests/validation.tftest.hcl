# What is refused before anything is made. The error names the variable.

mock_provider "aws" {
  source = "../../mocks"
}

variables {
  target_arn            = "arn:aws:sqs:us-east-1:123456789012:events"
  dead_letter_queue_arn = "arn:aws:sqs:us-east-1:123456789012:events-dead-letters"
}

run "a_name_that_is_too_long" {
  command         = plan
  expect_failures = [var.name]

  variables {
    name = "a2345678901234567890123456789012345678901234567890ab"
  }
}
