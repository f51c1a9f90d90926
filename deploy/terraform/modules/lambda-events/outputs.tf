output "queue_url" {
  description = "The queue's URL, for --sqs-queue-url."
  value       = aws_sqs_queue.events.url
}

output "queue_arn" {
  description = "The queue's ARN."
  value       = aws_sqs_queue.events.arn
}

output "reader_policy_arn" {
  description = "ARN of the policy to attach to the role of the running lambdamesh."
  value       = aws_iam_policy.reader.arn
}

output "rule_arns" {
  description = "The rules' ARNs, by what they are for: calls and tags."
  value       = module.events.rule_arns
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
