# What is refused before anything is made. The error names the variable.

mock_provider "aws" {
  source = "../../mocks"
}

variables {
  consul_http_addr = "https://consul.example.com:8501"
  zip_file         = "main.tf" # any file that is there
}

run "no_program" {
  command         = plan
  expect_failures = [var.zip_file]

  variables {
    zip_file = ""
  }
}

run "two_programs" {
  command         = plan
  expect_failures = [var.zip_file]

  variables {
    ecr_image_uri = "123456789012.dkr.ecr.us-east-1.amazonaws.com/r:1"
  }
}

run "no_such_file" {
  command         = plan
  expect_failures = [var.zip_file]

  variables {
    zip_file = "missing.zip"
  }
}

run "a_public_image" {
  command         = plan
  expect_failures = [var.ecr_image_uri]

  variables {
    zip_file      = ""
    ecr_image_uri = "public.ecr.aws/hashicorp/consul-lambda-registrator:0.1.0"
  }
}

run "an_image_without_tag" {
  command         = plan
  expect_failures = [var.ecr_image_uri]

  variables {
    zip_file      = ""
    ecr_image_uri = "123456789012.dkr.ecr.us-east-1.amazonaws.com/r"
  }
}

run "authority_by_both_names" {
  command         = plan
  expect_failures = [var.ca_cert_path]

  variables {
    ca_cert_path        = "/a"
    consul_ca_cert_path = "/a"
  }
}

run "token_by_both_names" {
  command         = plan
  expect_failures = [var.http_token_path]

  variables {
    http_token_path        = "/a"
    consul_http_token_path = "/b"
  }
}

run "an_authority_itself" {
  command         = plan
  expect_failures = [var.ca_cert_path]

  variables {
    ca_cert_path = "-----BEGIN CERTIFICATE-----"
  }
}

run "an_authority_itself_by_the_other_name" {
  command         = plan
  expect_failures = [var.consul_ca_cert_path]

  variables {
    consul_ca_cert_path = "-----BEGIN CERTIFICATE-----"
  }
}

run "an_arn_of_a_token" {
  command         = plan
  expect_failures = [var.http_token_path]

  variables {
    http_token_path = "arn:aws:ssm:us-east-1:123456789012:parameter/a"
  }
}

run "an_arn_of_a_token_by_the_other_name" {
  command         = plan
  expect_failures = [var.consul_http_token_path]

  variables {
    consul_http_token_path = "arn:aws:ssm:us-east-1:123456789012:parameter/a"
  }
}

run "an_address_without_scheme" {
  command         = plan
  expect_failures = [var.consul_http_addr]

  variables {
    consul_http_addr = "consul.example.com:8501"
  }
}

run "a_name_that_is_too_long" {
  command         = plan
  expect_failures = [var.name]

  variables {
    name = "a2345678901234567890123456789012345678901234567890ab"
  }
}

run "another_architecture" {
  command         = plan
  expect_failures = [var.arch]

  variables {
    arch = "amd64"
  }
}

run "a_key_by_its_alias" {
  command         = plan
  expect_failures = [var.kms_key_arns]

  variables {
    ca_cert_path = "/a"
    kms_key_arns = ["arn:aws:kms:us-east-1:123456789012:alias/a"]
  }
}

run "a_key_for_nothing" {
  command         = plan
  expect_failures = [var.kms_key_arns]

  variables {
    kms_key_arns = ["arn:aws:kms:us-east-1:123456789012:key/a"]
  }
}

run "an_empty_node" {
  command         = plan
  expect_failures = [var.node_name]

  variables {
    node_name = " "
  }
}

run "partitions_of_the_community_edition" {
  command         = plan
  expect_failures = [var.partitions]

  variables {
    partitions = ["a"]
  }
}

run "two_partitions_in_one" {
  command         = plan
  expect_failures = [var.partitions]

  variables {
    enterprise = true
    partitions = ["a,b"]
  }
}

run "half_a_minute" {
  command         = plan
  expect_failures = [var.sync_frequency_in_minutes]

  variables {
    sync_frequency_in_minutes = 0.5
  }
}

run "more_than_a_function_may_run" {
  command         = plan
  expect_failures = [var.timeout]

  variables {
    timeout = 901
  }
}

run "less_memory_than_there_is" {
  command         = plan
  expect_failures = [var.memory_size]

  variables {
    memory_size = 64
  }
}

run "never_running" {
  command         = plan
  expect_failures = [var.reserved_concurrent_executions]

  variables {
    reserved_concurrent_executions = 0
  }
}

run "subnets_alone" {
  command         = plan
  expect_failures = [var.subnet_ids]

  variables {
    subnet_ids = ["subnet-1"]
  }
}

run "security_groups_alone" {
  command         = plan
  expect_failures = [var.subnet_ids]

  variables {
    security_group_ids = ["sg-1"]
  }
}

run "another_log_level" {
  command         = plan
  expect_failures = [var.log_level]

  variables {
    log_level = "loud"
  }
}

run "another_retention" {
  command         = plan
  expect_failures = [var.log_retention_in_days]

  variables {
    log_retention_in_days = 31
  }
}

run "half_a_page" {
  command         = plan
  expect_failures = [var.page_size]

  variables {
    page_size = 1.5
  }
}
