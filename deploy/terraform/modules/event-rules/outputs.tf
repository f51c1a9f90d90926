output "rule_arns" {
  description = "The rules' ARNs, by what they are for: calls and tags."
  value       = { for key, rule in aws_cloudwatch_event_rule.this : key => rule.arn }
}
