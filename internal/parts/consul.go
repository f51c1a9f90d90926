package parts

import (
	"fmt"
	"path/filepath"
	"strings"
)

// consulRecipe builds Consul from its own Go module, because HashiCorp's release
// server is one more host to reach and to trust, while the module is held by the
// checksums in tools/consul/go.sum.
func consulRecipe() recipe {
	return recipe{
		name:        "consul",
		version:     ConsulVersion,
		override:    "CONSUL_BIN",
		versionArgs: []string{"version"},
		versionWant: "Consul v" + ConsulVersion + "\n",
		binary:      "consul",
		usual:       "4 to 7 minutes on two cores",
		fetch:       buildConsul,
	}
}

func buildConsul(r *runner, dir string) error {
	root, err := r.output("", "go", "list", "-m", "-f", "{{.Dir}}", "github.com/lambdamesh/lambdamesh")
	if err != nil {
		return fmt.Errorf("finding the project's folder: %w", err)
	}
	// Without cgo the binary does not depend on this machine's C library; without
	// symbols and debug information it is two thirds of the size.
	return r.run("building", filepath.Join(strings.TrimSpace(root), "tools", "consul"),
		[]string{"CGO_ENABLED=0", "GOWORK=off"},
		"go", "build", "-mod=readonly", "-buildvcs=false", "-trimpath", "-ldflags=-s -w",
		"-o", filepath.Join(dir, "consul"), "github.com/hashicorp/consul")
}
