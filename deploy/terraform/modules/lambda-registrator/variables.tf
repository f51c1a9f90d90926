variable "name" {
  description = "Name of the function and its role, and prefix of the names of all else. IAM's names are of the whole account, so each region needs another one."
  type        = string
  default     = "consul-lambda-registrator"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,51}$", var.name))
    error_message = "name: 1 to 51 letters, digits, - and _, so that names made of it are no longer than the 64 characters that AWS allows."
  }
}

# The program.

variable "zip_file" {
  description = "Path of the function's zip file: build/lambda-registrator-amd64.zip or -arm64.zip, which `make lambda-zip` builds. Either this or ecr_image_uri."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = var.zip_file != "" || var.ecr_image_uri != ""
    error_message = "zip_file or ecr_image_uri: one of them is needed; it is the program that the function runs."
  }

  validation {
    condition     = var.zip_file == "" || var.ecr_image_uri == ""
    error_message = "zip_file and ecr_image_uri: give one of them, not both."
  }

  validation {
    condition     = var.zip_file == "" || try(fileexists(var.zip_file), false)
    error_message = "zip_file: there is no such file; make lambda-zip builds it into build/."
  }
}

variable "ecr_image_uri" {
  description = "Image of the function, in a private ECR repository of the same region. Either this or zip_file."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = var.ecr_image_uri == "" || can(regex("^[0-9]{12}\\.dkr\\.ecr\\.[a-z0-9.-]+/[^:@]+(:[^@]+|@sha256:[0-9a-f]{64})$", var.ecr_image_uri))
    error_message = "ecr_image_uri: not an image of a private ECR repository with a tag or digest, such as 123456789012.dkr.ecr.us-east-1.amazonaws.com/lambda-registrator:1.0. AWS Lambda takes no others, public.ecr.aws among them."
  }
}

variable "arch" {
  description = "Architecture of the program: x86_64 (the zip file -amd64.zip) or arm64 (-arm64.zip)."
  type        = string
  default     = "x86_64"
  nullable    = false

  validation {
    condition     = contains(["x86_64", "arm64"], var.arch)
    error_message = "arch: neither x86_64 nor arm64."
  }
}

# Consul.

variable "consul_http_addr" {
  description = "URL of Consul's HTTP API, with its port, such as https://consul.example.com:8501."
  type        = string

  validation {
    condition     = can(regex("^https?://[^/\\s]+$", var.consul_http_addr))
    error_message = "consul_http_addr: not a URL of scheme, host and port, such as https://consul.example.com:8501."
  }
}

variable "consul_ca_cert_path" {
  description = "Name of the Parameter Store parameter with the authority of Consul's certificate, PEM. Empty: one that the system trusts."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = var.consul_ca_cert_path == "" || can(regex("^(/?[A-Za-z0-9_.-]+)+$", var.consul_ca_cert_path))
    error_message = "consul_ca_cert_path: not the name of a Parameter Store parameter, such as /lambda-registrator/ca-cert."
  }
}

variable "ca_cert_path" {
  description = "The same as consul_ca_cert_path, under the name that Consul's documentation has. Give one of them."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = var.ca_cert_path == "" || var.consul_ca_cert_path == ""
    error_message = "ca_cert_path and consul_ca_cert_path: two names of one parameter; give one of them."
  }

  validation {
    condition     = var.ca_cert_path == "" || can(regex("^(/?[A-Za-z0-9_.-]+)+$", var.ca_cert_path))
    error_message = "ca_cert_path: not the name of a Parameter Store parameter, such as /lambda-registrator/ca-cert."
  }
}

variable "consul_http_token_path" {
  description = "Name of the Parameter Store parameter with Consul's ACL token. Empty: no token."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = var.consul_http_token_path == "" || can(regex("^(/?[A-Za-z0-9_.-]+)+$", var.consul_http_token_path))
    error_message = "consul_http_token_path: not the name of a Parameter Store parameter, such as /lambda-registrator/acl-token."
  }
}

variable "http_token_path" {
  description = "The same as consul_http_token_path, under the name that Consul's documentation has. Give one of them."
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = var.http_token_path == "" || var.consul_http_token_path == ""
    error_message = "http_token_path and consul_http_token_path: two names of one parameter; give one of them."
  }

  validation {
    condition     = var.http_token_path == "" || can(regex("^(/?[A-Za-z0-9_.-]+)+$", var.http_token_path))
    error_message = "http_token_path: not the name of a Parameter Store parameter, such as /lambda-registrator/acl-token."
  }
}

variable "kms_key_arns" {
  description = "Keys of KMS that the parameters are encrypted with, where that is not AWS's own key for Parameter Store."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.kms_key_arns : can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/", arn))])
    error_message = "kms_key_arns: not all are ARNs of keys. An alias will not do: IAM knows keys alone."
  }

  validation {
    condition     = length(var.kms_key_arns) == 0 || "${var.ca_cert_path}${var.consul_ca_cert_path}${var.http_token_path}${var.consul_http_token_path}" != ""
    error_message = "kms_key_arns: no parameter is named that would be encrypted with these keys."
  }
}

variable "consul_datacenter" {
  description = "Consul's datacenter: functions that are tagged for another one are left alone. Empty: all are taken."
  type        = string
  default     = ""
  nullable    = false
}

variable "node_name" {
  description = "The Consul node that carries the services."
  type        = string
  default     = "lambdas"
  nullable    = false

  validation {
    condition     = trimspace(var.node_name) != ""
    error_message = "node_name: it is empty."
  }
}

variable "enterprise" {
  description = "Consul Enterprise: heed the tags for namespaces and admin partitions."
  type        = bool
  default     = false
  nullable    = false
}

variable "partitions" {
  description = "Admin partitions that are kept. Empty, with enterprise: default."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = length(var.partitions) == 0 || var.enterprise
    error_message = "partitions: Consul has partitions with enterprise = true alone."
  }

  validation {
    condition     = alltrue([for name in var.partitions : can(regex("^[A-Za-z0-9_-]+$", name))])
    error_message = "partitions: not all are names of admin partitions."
  }
}

# How it runs.

variable "sync_frequency_in_minutes" {
  description = "How often everything is compared. Events bring changes sooner; this repairs what they miss."
  type        = number
  default     = 5
  nullable    = false

  validation {
    condition     = var.sync_frequency_in_minutes >= 1 && var.sync_frequency_in_minutes == floor(var.sync_frequency_in_minutes)
    error_message = "sync_frequency_in_minutes: not a whole number from 1 on; EventBridge knows no shorter interval."
  }
}

variable "timeout" {
  # A full sync of 1,000 functions into an empty Consul takes two seconds, one of 10,000
  # less than a minute. One that takes longer loses nothing: it stops before the timeout,
  # and the next one goes on.
  description = "Seconds that a run may take. A minute is ample for 10,000 functions; a run that is cut off is gone on with by the next."
  type        = number
  default     = 60
  nullable    = false

  validation {
    condition     = var.timeout >= 1 && var.timeout <= 900 && var.timeout == floor(var.timeout)
    error_message = "timeout: not a whole number of seconds from 1 to 900, the most that AWS Lambda gives."
  }
}

variable "memory_size" {
  description = "Memory in MB. A sync of 10,000 functions takes 110, of 100,000 new ones 650."
  type        = number
  default     = 256
  nullable    = false

  validation {
    condition     = var.memory_size >= 128 && var.memory_size <= 10240 && var.memory_size == floor(var.memory_size)
    error_message = "memory_size: not a whole number from 128 to 10240, what AWS Lambda gives."
  }
}

variable "reserved_concurrent_executions" {
  # Two looks at one function at the same time could leave what the one saw that read
  # first, until the next full sync.
  description = "How many runs may be going on at once. One, so that they do not overlap; -1 reserves none, for accounts that have none to reserve."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.reserved_concurrent_executions == -1 || (var.reserved_concurrent_executions >= 1 && var.reserved_concurrent_executions == floor(var.reserved_concurrent_executions))
    error_message = "reserved_concurrent_executions: neither -1 nor a whole number from 1 on; with 0 AWS Lambda would never run it."
  }
}

variable "subnet_ids" {
  description = "Subnets of the VPC from which Consul is reached, with a way to AWS's own APIs. Empty: no VPC."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = (length(var.subnet_ids) == 0) == (length(var.security_group_ids) == 0)
    error_message = "subnet_ids and security_group_ids: give both or none."
  }
}

variable "security_group_ids" {
  description = "Security groups of the function in that VPC."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "log_level" {
  description = "trace, debug, info, warn or error."
  type        = string
  default     = "info"
  nullable    = false

  validation {
    condition     = contains(["trace", "debug", "info", "warn", "error"], var.log_level)
    error_message = "log_level: not one of trace, debug, info, warn, error."
  }
}

variable "log_retention_in_days" {
  description = "How long CloudWatch keeps the log. 0: for ever."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = contains([0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_in_days)
    error_message = "log_retention_in_days: not a time that CloudWatch knows, such as 1, 7, 14, 30, 90, 365 or 0 (for ever)."
  }
}

variable "page_size" {
  description = "Most that AWS is asked for on a page of a listing. 0: as many as it gives."
  type        = number
  default     = 0
  nullable    = false

  validation {
    condition     = var.page_size >= 0 && var.page_size == floor(var.page_size)
    error_message = "page_size: not a whole number from 0 on."
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
