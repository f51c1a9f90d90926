mock_provider "aws" {
  source = "../../mocks"
}

run "it_can_be_made" {
  variables {
    role_name = "lambdamesh"
  }

  assert {
    condition     = aws_iam_role_policy_attachment.events.policy_arn == module.lambda_events.reader_policy_arn && aws_iam_role_policy_attachment.events.role == "lambdamesh"
    error_message = "lambdamesh may not read the queue."
  }
}
