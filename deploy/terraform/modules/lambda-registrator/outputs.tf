output "function_name" {
  description = "The function's name, to invoke it by hand."
  value       = aws_lambda_function.this.function_name
}

output "function_arn" {
  description = "The function's ARN."
  value       = aws_lambda_function.this.arn
}

output "role_arn" {
  description = "ARN of the function's role, for the policies of keys and endpoints."
  value       = aws_iam_role.this.arn
}

output "role_name" {
  description = "Name of the function's role, to attach further policies."
  value       = aws_iam_role.this.name
}

output "log_group_name" {
  description = "The log group."
  value       = aws_cloudwatch_log_group.this.name
}

output "rule_arns" {
  description = "The rules' ARNs, by what they are for: schedule, calls and tags."
  value       = local.rule_arns
}

output "dead_letter_queue_arn" {
  description = "ARN of the queue for events that came to nothing."
  value       = aws_sqs_queue.dead_letters.arn
}

output "dead_letter_queue_url" {
  description = "URL of that queue."
  value       = aws_sqs_queue.dead_letters.url
}

output "alarm_arn" {
  description = "ARN of that queue's alarm."
  value       = aws_cloudwatch_metric_alarm.dead_letters.arn
}
