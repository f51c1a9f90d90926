# The way of events to a registrator that runs outside of AWS Lambda: rules of
# EventBridge, a queue, and `lambdamesh registrator --sqs-queue-url` that reads it.

module "events" {
  source = "../event-rules"

  name                  = var.name
  target_arn            = aws_sqs_queue.events.arn
  dead_letter_queue_arn = aws_sqs_queue.dead_letters.arn
  tags                  = var.tags
}

resource "aws_sqs_queue" "events" {
  name                       = var.name
  visibility_timeout_seconds = var.visibility_timeout_seconds
  message_retention_seconds  = var.message_retention_seconds
  receive_wait_time_seconds  = 20 # an answer that waits for a message: fewer calls, and no message that is missed
  sqs_managed_sse_enabled    = true
  tags                       = var.tags

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letters.arn
    maxReceiveCount     = var.max_receive_count
  })
}

resource "aws_sqs_queue_policy" "events" {
  queue_url = aws_sqs_queue.events.url
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Events"
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = aws_sqs_queue.events.arn
      Condition = { ArnEquals = { "aws:SourceArn" = values(module.events.rule_arns) } }
    }]
  })
}

# What the role of the running lambdamesh needs beyond the registrator's own policy.
resource "aws_iam_policy" "reader" {
  name        = "${var.name}-reader"
  description = "Reads the events of Lambda functions from the queue ${var.name}"
  tags        = var.tags

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid    = "Events"
      Effect = "Allow"
      Action = [
        "sqs:ReceiveMessage", # taking events
        "sqs:DeleteMessage",  # those whose work is done
      ]
      Resource = aws_sqs_queue.events.arn
    }]
  })
}
