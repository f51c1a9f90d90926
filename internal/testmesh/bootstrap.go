package testmesh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// BootstrapConfig says which proxy "consul connect envoy -bootstrap" writes a
// bootstrap for.
type BootstrapConfig struct {
	GRPCAddr  string // what Envoy shall connect to, lambdamesh or Consul itself: host:port, or https://host:port
	AdminAddr string // host:port of Envoy's admin server
	Token     string // the proxy's own

	ProxyID    string // of a proxy or gateway that is registered; or
	SidecarFor string // the service whose sidecar it is

	// NodeName makes Envoy's Node name the Consul node (-node-name). It needs ProxyID.
	NodeName string

	// Args are further arguments, such as -grpc-ca-file F or -gateway terminating -register.
	Args []string
}

// Bootstrap runs "consul connect envoy -bootstrap" against this server's API and
// returns the JSON it writes. It holds the token.
func (c *Consul) Bootstrap(ctx context.Context, cfg BootstrapConfig) ([]byte, error) {
	grpcAddr := cfg.GRPCAddr
	if !strings.Contains(grpcAddr, "://") {
		grpcAddr = "http://" + grpcAddr
	}
	args := []string{
		"connect", "envoy", "-bootstrap", "-http-addr", "http://" + c.HTTPAddr(),
		"-grpc-addr", grpcAddr, "-admin-bind", cfg.AdminAddr,
	}
	for _, flag := range []struct{ name, value string }{
		{"-proxy-id", cfg.ProxyID}, {"-sidecar-for", cfg.SidecarFor}, {"-node-name", cfg.NodeName},
	} {
		if flag.value != "" {
			args = append(args, flag.name, flag.value)
		}
	}
	cmd := exec.CommandContext(ctx, c.cfg.Bin.Path, append(args, cfg.Args...)...)
	// By the environment, as any user of the machine can read arguments.
	cmd.Env = Environ(c.cfg.Dir, "CONSUL_HTTP_TOKEN="+cfg.Token)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("running consul connect envoy -bootstrap: %w", errors.Join(err, errors.New(errs.String())))
	}
	return out.Bytes(), nil
}

// CLI runs any command of Consul's with the given token and returns its output.
func (c *Consul) CLI(ctx context.Context, token string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, c.cfg.Bin.Path, args...)
	cmd.Env = Environ(c.cfg.Dir, "CONSUL_HTTP_ADDR="+c.HTTPAddr(), "CONSUL_HTTP_TOKEN="+token)
	cmd.Dir = c.cfg.Dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("running consul %s: %w: %s", args[0], err, out)
	}
	return string(out), nil
}
