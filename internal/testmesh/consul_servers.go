package testmesh

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"
)

// StartConsulServers starts the n servers of one datacenter, and returns when each is
// as ready as StartConsul says. They have one management token. Their nodes are named
// as cfg says, from the second on with a number: server, server-2, server-3.
func StartConsulServers(ctx context.Context, n int, cfg ConsulConfig) ([]*Consul, error) {
	cfg.NodeName = cmp.Or(cfg.NodeName, "server")
	cfg.Datacenter = cmp.Or(cfg.Datacenter, "dc1")
	cfg.LogLevel = cmp.Or(cfg.LogLevel, "info")
	token := ""
	switch {
	case cfg.Primary != nil:
		token = cfg.Primary.token
	case !cfg.NoACL:
		token = newUUID()
		noteSecret(token)
	}
	servers := make([]*Consul, n)
	for i := range servers {
		c := &Consul{cfg: cfg, token: token, servers: servers, ip: "127.0.0.1"}
		if i > 0 {
			c.cfg.NodeName += "-" + strconv.Itoa(i+1)
		}
		if cfg.WAN == nil {
			c.wanPort = -1
		}
		if !cfg.Peering {
			c.grpcTLSPort = -1
		}
		if err := cfg.Ports.Fill(&c.httpPort, &c.grpcPort, &c.serverPort, &c.serfPort, &c.wanPort, &c.grpcTLSPort); err != nil {
			return nil, err
		}
		if cfg.OwnIPs && i > 0 {
			c.ip, c.grpcPort = fmt.Sprintf("127.0.0.%d", i+1), servers[0].grpcPort
		}
		servers[i] = c
	}
	for _, c := range servers {
		args, err := c.writeConfig()
		if err != nil {
			return nil, fmt.Errorf("writing Consul's configuration: %w", err)
		}
		c.command = Command{
			Name: "consul-" + c.cfg.NodeName, Path: cfg.Bin.Path, Dir: cfg.Dir, Env: Environ(cfg.Dir),
			Args: append([]string{"agent"}, args...),
		}
	}
	var starting errgroup.Group
	for _, c := range servers {
		starting.Go(func() error { return c.Start(ctx) })
	}
	if err := starting.Wait(); err != nil {
		for _, c := range servers {
			if c.Process != nil {
				c.Kill()
			}
		}
		return nil, err
	}
	return servers, nil
}

// XDSStreams is how many xDS streams this server carries, as it counts itself.
func (c *Consul) XDSStreams(ctx context.Context) (int, error) {
	body, err := fetch(ctx, http.MethodGet, "http://"+c.HTTPAddr()+"/v1/agent/metrics?format=prometheus",
		http.Header{"X-Consul-Token": {c.token}})
	if err != nil {
		return 0, fmt.Errorf("reading Consul's metrics: %w", err)
	}
	for line := range strings.Lines(string(body)) {
		if !strings.HasPrefix(line, `consul_xds_server_streams{`) {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndex(line, " "):]), 64)
		return int(n), err
	}
	return 0, nil
}
