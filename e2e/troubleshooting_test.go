package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/lambdamesh/lambdamesh/internal/parts"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// TestTroubleshooting brings about what docs/troubleshooting.md is searched for: each line of a
// section's blocks of text (```text) is what a real Envoy, Consul or lambdamesh says. A line
// may leave out a part of a message at each " ... ".
func TestTroubleshooting(t *testing.T) {
	t.Parallel()
	s := begin(t, testmesh.MeshConfig{NoRegistrator: true, AcceptUnknownFields: true})
	page := s.walkthrough("troubleshooting.md")
	arn := s.function("hello", "hello", nil)
	s.byHand("hello", meta(arn))
	s.byHand("denied", meta(arn))
	s.byHand("mistaken", meta(arn, "invocation-mode", "SOMETIMES"))
	s.must(s.Consul.SetEntry(s.ctx, func() *api.ServiceConfigEntry {
		e := testmesh.LambdaDefaults("tcp", meta(arn))
		e.Protocol = "tcp"
		return e
	}()))
	s.allow("web", "hello", "mistaken")
	s.gateway("gateway", "*")
	web := s.sidecar("web", "hello", "denied", "mistaken")
	s.until(web, "hello", arn)

	// says checks what a section quotes against what was said.
	says := func(section, said string) {
		t.Helper()
		blocks := page.page.Blocks(section, "text")
		if len(blocks) == 0 {
			t.Errorf("%q quotes nothing; it was said:\n%s", section, said)
		}
		for _, block := range blocks {
			for line := range strings.Lines(block) {
				rest := said
				for part := range strings.SplitSeq(strings.TrimSpace(line), " ... ") {
					_, after, found := strings.Cut(rest, part)
					if !found {
						t.Errorf("%q: %q was not said, but:\n%s", section, part, said)
						break
					}
					rest = after
				}
			}
		}
	}
	// logged waits until each process has said a mark, and checks a section against what
	// they have logged.
	logged := func(section, mark string, processes ...*testmesh.Process) {
		t.Helper()
		var said strings.Builder
		for _, p := range processes {
			s.must(testmesh.Poll(s.ctx, func(context.Context) error {
				if !strings.Contains(p.Tail(400), mark) {
					return errors.New(p.LogPath() + " does not say " + mark)
				}
				return nil
			}))
			said.WriteString(p.Tail(400))
		}
		says(section, said.String())
	}

	says("503, no healthy upstream", string(s.answers(web, "mistaken", testmesh.Request{}, http.StatusServiceUnavailable).Body))
	says("403, RBAC: access denied", string(s.answers(web, "denied", testmesh.Request{}, http.StatusForbidden).Body))
	state := s.state()
	says("State error", fmt.Sprint(state.service("mistaken").Errors, state.service("tcp").Errors))

	// The endpoint's certificate is somebody else's than Amazon's, whose roots are the default.
	other, err := testmesh.StartLambdamesh(s.ctx, testmesh.LambdameshConfig{
		Dir: s.Dir(), Ports: s.Ports(), Name: "lambdamesh-roots", Env: s.LambdameshEnviron(),
		Args: []string{"--consul-grpc-addr", s.Consul.GRPCAddr(), "--lambda-endpoint-url", s.AWS.Invoke.URL(), "--drain-timeout", "1s"},
	})
	s.must(err)
	t.Cleanup(func() {
		if err := other.Stop(); err != nil {
			t.Error(err)
		}
	})
	distrustful, err := s.AddTerminatingGateway(s.ctx, "distrustful", []string{"far"}, testmesh.ProxyOptions{XDSAddr: other.XDSAddr()})
	s.must(err)
	s.byHand("far", meta(arn))
	s.allow("worker", "far")
	worker := s.sidecar("worker", "far")
	var body string
	s.must(testmesh.Poll(s.ctx, func(ctx context.Context) error {
		r, err := worker.Call(ctx, "far", testmesh.Request{})
		if body = string(r.Body); err == nil && (r.Status != http.StatusServiceUnavailable || !strings.Contains(body, "connect error")) {
			err = fmt.Errorf("%d %s", r.Status, body)
		}
		return err
	}))
	says("503, remote connection failure", body)
	cluster, err := clusterNamed(s.ctx, distrustful.Envoy, "far")
	s.must(err)
	s.must(distrustful.Envoy.WaitStat(s.ctx, "cluster."+cluster+".ssl.fail_verify_error", func(n int64) bool { return n > 0 }))

	// A gateway with Consul's own xDS and a function by Meta.
	alone, err := s.AddTerminatingGateway(s.ctx, "alone", []string{"hello"}, testmesh.ProxyOptions{XDSAddr: s.Consul.GRPCAddr(), NoWait: true})
	s.must(err)
	logged("A terminating gateway never becomes ready", "SocketAddressValidationError", alone.Envoy.Process)

	// A sidecar whose token Consul does not know.
	stranger, err := s.AddSidecar(s.ctx, "stranger", nil, testmesh.ProxyOptions{EnvoyToken: "00000000-0000-0000-0000-0000000000ff", NoWait: true})
	s.must(err)
	logged("ACL not found", "ACL not found", stranger.Envoy.Process, s.Lambdamesh.Process)

	// An Envoy that Consul's command does not know.
	consul := testmesh.Bin(t, (*parts.Cache).Consul).Path
	cmd := exec.CommandContext(s.ctx, consul, "connect", "envoy", "-proxy-id", "gateway", "-grpc-addr", s.Lambdamesh.XDSAddr(),
		"-envoy-binary", testmesh.Bin(t, (*parts.Cache).Envoy).Path)
	cmd.Env = append(testmesh.Environ(t.TempDir()), "CONSUL_HTTP_ADDR="+s.Consul.HTTPAddr(), "CONSUL_HTTP_TOKEN="+s.Consul.ManagementToken())
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Error("consul connect envoy took an Envoy that it does not know")
	}
	says("Envoy version is not supported", string(out))

	// Off loopback.
	_, err = s.Lambdamesh.Run(s.ctx, "serve", "--xds-addr", "10.255.255.1:8512")
	says("serve ends at once, exit code 2", fmt.Sprint(err))
}
