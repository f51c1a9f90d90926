variable "name" {
  description = "Name of the queue, and prefix of the names of all else. IAM's names are of the whole account, so each region needs another one."
  type        = string
  default     = "lambdamesh-events"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,51}$", var.name))
    error_message = "name: 1 to 51 letters, digits, - and _, so that names made of it are no longer than the 64 characters that AWS allows."
  }
}

variable "visibility_timeout_seconds" {
  # What a look at a function takes at the most, its retries included.
  description = "Seconds after which an event is delivered again that was taken and not done."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.visibility_timeout_seconds >= 1 && var.visibility_timeout_seconds <= 43200 && var.visibility_timeout_seconds == floor(var.visibility_timeout_seconds)
    error_message = "visibility_timeout_seconds: not a whole number from 1 to 43200, the most that SQS gives."
  }
}

variable "message_retention_seconds" {
  # A registrator that was away for longer reads everything when it is back.
  description = "Seconds that an event waits for a registrator. The full sync finds what it was of, so it need not wait long."
  type        = number
  default     = 3600
  nullable    = false

  validation {
    condition     = var.message_retention_seconds >= 60 && var.message_retention_seconds <= 1209600 && var.message_retention_seconds == floor(var.message_retention_seconds)
    error_message = "message_retention_seconds: not a whole number from 60 to 1209600, what SQS gives."
  }
}

variable "max_receive_count" {
  description = "How often an event is delivered before it goes to the dead-letter queue."
  type        = number
  default     = 5
  nullable    = false

  validation {
    condition     = var.max_receive_count >= 1 && var.max_receive_count <= 1000 && var.max_receive_count == floor(var.max_receive_count)
    error_message = "max_receive_count: not a whole number from 1 to 1000, what SQS gives."
  }
}

variable "alarm_actions" {
  description = "ARNs of what is told when the dead-letter queue's alarm goes on or off, such as an SNS topic."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "tags" {
  description = "Tags of everything that has tags."
  type        = map(string)
  default     = {}
  nullable    = false
}
