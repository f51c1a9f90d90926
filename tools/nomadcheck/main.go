// Command nomadcheck parses a Nomad job file with Nomad's own parser, as "nomad job run"
// does before it sends it, and prints the job as JSON. Variables are given as NAME=VALUE.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/hashicorp/nomad/jobspec2"
)

func main() {
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintf(os.Stderr, "nomadcheck: %v\n", err)
		os.Exit(1)
	}
}

func run(path string, variables []string) error {
	body, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	job, err := jobspec2.ParseWithConfig(&jobspec2.ParseConfig{Path: path, Body: body, ArgVars: variables, Strict: true})
	if err != nil {
		return err
	}
	job.Canonicalize()
	return json.NewEncoder(os.Stdout).Encode(job)
}
