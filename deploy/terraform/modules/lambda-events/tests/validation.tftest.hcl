# What is refused before anything is made. The error names the variable.

mock_provider "aws" {
  source = "../../mocks"
}

run "a_name_that_is_too_long" {
  command         = plan
  expect_failures = [var.name]

  variables {
    name = "a2345678901234567890123456789012345678901234567890ab"
  }
}

run "no_time_for_work" {
  command         = plan
  expect_failures = [var.visibility_timeout_seconds]

  variables {
    visibility_timeout_seconds = 0
  }
}

run "more_than_a_fortnight" {
  command         = plan
  expect_failures = [var.message_retention_seconds]

  variables {
    message_retention_seconds = 1209601
  }
}

run "never_delivered" {
  command         = plan
  expect_failures = [var.max_receive_count]

  variables {
    max_receive_count = 0
  }
}
