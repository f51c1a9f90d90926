//go:build extra

package nomad

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lambdamesh/lambdamesh/internal/parts"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// agent is a Nomad, server and client in one, that runs programs without a container, and
// whose workloads log in to a Consul with ACLs.
type agent struct {
	*testmesh.Mesh          // without a lambdamesh
	env            []string // by which nomad and consul find both, as their administrator
}

func startAgent(t *testing.T) *agent {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	program, err := exec.LookPath("nomad")
	check(err)
	a := &agent{Mesh: testmesh.TestMesh(t, testmesh.MeshConfig{NoLambdamesh: true})}
	dir := t.TempDir()
	var http, rpc, serf int
	check(testmesh.TestPorts(t).Fill(&http, &rpc, &serf))
	config := fmt.Sprintf(`
		bind_addr = "127.0.0.1"
		ports {
			http = %d
			rpc = %d
			serf = %d
		}
		advertise {
			http = "127.0.0.1"
			rpc = "127.0.0.1"
			serf = "127.0.0.1"
		}
		client {
			network_interface = "lo"
			options = { "fingerprint.denylist" = "env_aws,env_gce,env_azure,env_digitalocean" }
		}
		consul {
			address = %q
			token = %q
			service_identity {
				aud = ["consul.io"]
				ttl = "1h"
			}
		}`, http, rpc, serf, a.Consul.HTTPAddr(), a.Consul.ManagementToken())
	// -dev: at its end it takes away what it has mounted.
	check(os.WriteFile(filepath.Join(dir, "agent.hcl"), []byte(config), 0o600))
	// Nomad writes the bootstraps of Envoys with the consul on its PATH.
	bin := t.TempDir()
	check(os.Symlink(testmesh.Bin(t, (*parts.Cache).Consul).Path, filepath.Join(bin, "consul")))
	path := "PATH=" + bin + ":" + os.Getenv("PATH")
	a.env = append(testmesh.Environ(dir), path, fmt.Sprintf("NOMAD_ADDR=http://127.0.0.1:%d", http),
		"CONSUL_HTTP_ADDR="+a.Consul.HTTPAddr(), "CONSUL_HTTP_TOKEN="+a.Consul.ManagementToken())
	process, err := testmesh.StartProcess(testmesh.Command{
		Name: "nomad", Path: program, Args: []string{"agent", "-dev", "-config", "agent.hcl"}, Env: append(testmesh.Environ(dir), path), Dir: dir,
	})
	check(err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("last lines of Nomad:\n%s", process.Tail(60))
		}
		if err := process.Stop(); err != nil && process.Running() {
			t.Error(err)
		}
	})
	check(process.Ready(testmesh.Context(t), func(context.Context) error {
		out, err := a.run(testmesh.Context(t), "nomad", "node", "status", "-json")
		var nodes []struct{ Status string }
		if err == nil {
			err = json.Unmarshal([]byte(out), &nodes)
		}
		if err == nil && (len(nodes) != 1 || nodes[0].Status != "ready") {
			err = fmt.Errorf("the nodes are %+v", nodes)
		}
		return err
	}))
	_, err = a.run(testmesh.Context(t), "nomad", "setup", "consul", "-y", "-jwks-url", fmt.Sprintf("http://127.0.0.1:%d/.well-known/jwks.json", http))
	check(err)
	return a
}

// run runs nomad or consul and returns what it prints.
func (a *agent) run(ctx context.Context, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = a.env
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		err = errors.Join(fmt.Errorf("%s %v: %w", program, args, err), errors.New(errs.String()+string(out)))
	}
	return string(out), err
}
