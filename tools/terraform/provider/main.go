// Command provider is a Terraform provider with the schema of hashicorp/aws and
// nothing behind it: what Terraform checks against a schema (names, types, what is
// required) it checks as against the real one, and what would reach AWS is an error.
// Under mock_provider nothing does.
package main

import (
	_ "embed"
	"fmt"
	"os"

	"github.com/hashicorp/terraform-plugin-go/tfprotov5"
	"github.com/hashicorp/terraform-plugin-go/tfprotov5/tf5server"
)

// described is the schema of the types that the modules use; package schema makes it.
//
//go:embed aws.json
var described []byte

func main() {
	schemas, err := read(described)
	if err == nil {
		err = tf5server.Serve("hashicorp/aws", func() tfprotov5.ProviderServer { return &server{schemas: schemas} })
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "provider: %v\n", err)
		os.Exit(1)
	}
}
