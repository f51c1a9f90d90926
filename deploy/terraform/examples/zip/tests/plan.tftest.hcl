mock_provider "aws" {
  source = "../../mocks"
}

run "it_can_be_made" {
  variables {
    consul_ca_cert = "an authority"
    consul_token   = "a token"
    zip_file       = "main.tf" # any file that is there
  }

  assert {
    condition     = output.function_name == "consul-lambda-registrator"
    error_message = "The function is ${output.function_name}."
  }
}
