mock_provider "aws" {
  source = "../../mocks"
}

run "it_can_be_made" {
  variables {
    image             = "123456789012.dkr.ecr.us-east-1.amazonaws.com/lambda-registrator:1.0"
    vpc_id            = "vpc-1"
    subnet_ids        = ["subnet-1"]
    on_call_topic_arn = "arn:aws:sns:us-east-1:123456789012:on-call"
  }

  assert {
    condition     = module.lambda_registrator.function_name == "consul-lambda-registrator"
    error_message = "The function is ${module.lambda_registrator.function_name}."
  }
}
