# All rules that tflint brings itself; those of a provider are plugins of their own.
plugin "terraform" {
  enabled = true
  preset  = "all"
}

# An example is one file, to be read from top to bottom.
rule "terraform_standard_module_structure" {
  enabled = false
}
