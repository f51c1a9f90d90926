# lambdamesh beside each Consul client agent, for the Envoys that Nomad starts on that node.
# Nomad's clients are told of it in their configuration: docs/install-nomad.md.

variable "image" {
  type    = string
  default = "ghcr.io/lambdamesh/lambdamesh:0.1.0"
}

variable "datacenters" {
  type    = list(string)
  default = ["*"]
}

variable "regions" {
  type        = list(string)
  default     = ["us-east-1"]
  description = "AWS regions to read."
}

variable "token_from" {
  type        = string
  default     = "identity"
  description = "Where lambdamesh's Consul token comes from: identity (Nomad's workload identity) or vault."
  validation {
    condition     = contains(["identity", "vault"], var.token_from)
    error_message = "The token_from must be identity or vault."
  }
}

variable "vault_path" {
  type        = string
  default     = "consul/creds/lambdamesh"
  description = "The role of Vault's Consul secrets engine."
}

job "lambdamesh" {
  type        = "system"
  datacenters = var.datacenters
  # Envoys keep what they have while it is away.
  priority = 90

  update {
    max_parallel     = 1
    min_healthy_time = "10s"
  }

  group "lambdamesh" {
    # On loopback, where nobody off the host reads tokens and keys. The ports are only
    # reserved here; the arguments below bind them.
    network {
      mode = "host"
      port "xds" {
        static = 8512
      }
      port "admin" {
        static = 8513
      }
      port "probe" {
        static = 8514
      }
    }

    service {
      name     = "lambdamesh"
      port     = "probe"
      provider = "consul"
      tags     = ["xds"]
      check {
        type     = "http"
        path     = "/readyz"
        interval = "5s"
        timeout  = "2s"
      }
    }

    restart {
      attempts = 10
      interval = "5m"
      delay    = "5s"
      mode     = "delay"
    }

    task "lambdamesh" {
      driver = "docker"
      user   = "65532:65532"
      # The drain, and what ends after it.
      kill_signal  = "SIGTERM"
      kill_timeout = "30s"

      config {
        image           = var.image
        network_mode    = "host"
        readonly_rootfs = true
        cap_drop        = ["all"]
        security_opt    = ["no-new-privileges"]
        args = [
          "serve", "--registrator",
          "--xds-addr", "127.0.0.1:${NOMAD_PORT_xds}",
          "--admin-addr", "127.0.0.1:${NOMAD_PORT_admin}",
          "--probe-addr", "${NOMAD_ADDR_probe}",
          "--consul-http-addr", "127.0.0.1:8500",
          "--consul-grpc-addr", "127.0.0.1:8502",
          "--drain-timeout", "15s",
          "--log-format", "json",
          "--regions", join(",", var.regions),
        ]
      }

      # Nomad logs in to Consul with the workload's identity, and puts the token into
      # CONSUL_HTTP_TOKEN, which lambdamesh reads.
      dynamic "consul" {
        for_each = var.token_from == "identity" ? [1] : []
        content {}
      }
      dynamic "identity" {
        for_each = var.token_from == "identity" ? [1] : []
        content {
          name = "consul_default"
          aud  = ["consul.io"]
          ttl  = "1h"
        }
      }

      # Or Vault's Consul secrets engine makes a token. When its lease ends it is another
      # one; lambdamesh reads its token at the start.
      dynamic "vault" {
        for_each = var.token_from == "vault" ? [1] : []
        content {}
      }
      dynamic "template" {
        for_each = var.token_from == "vault" ? [1] : []
        content {
          data        = "CONSUL_HTTP_TOKEN={{ with secret \"${var.vault_path}\" }}{{ .Data.token }}{{ end }}"
          destination = "${NOMAD_SECRETS_DIR}/consul.env"
          env         = true
          change_mode = "restart"
        }
      }

      resources {
        cpu        = 200
        memory     = 128
        memory_max = 512
      }
    }
  }
}
