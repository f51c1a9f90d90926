variable "name" {
  description = "Prefix of the names of the rules."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,51}$", var.name))
    error_message = "name: 1 to 51 letters, digits, - and _, so that names made of it are no longer than the 64 characters that AWS allows."
  }
}

variable "target_arn" {
  description = "What gets the events: a Lambda function or an SQS queue."
  type        = string
}

variable "dead_letter_queue_arn" {
  description = "The SQS queue for events that EventBridge could not deliver."
  type        = string
}

variable "tags" {
  description = "Tags of the rules."
  type        = map(string)
  default     = {}
  nullable    = false
}
