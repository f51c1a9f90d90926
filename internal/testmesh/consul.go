package testmesh

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/consul/api"
	"github.com/lambdamesh/lambdamesh/internal/parts"
)

// ConsulConfig says how a Consul server is started. Bin, Dir and Ports are required.
type ConsulConfig struct {
	Bin   parts.Part
	Dir   string // for its data, configuration and log; must exist
	Ports *Ports

	NodeName   string // default "server"
	Datacenter string // default "dc1"
	NoACL      bool   // default: ACLs on, default policy deny, and so deny for intentions
	LogLevel   string // default "info"

	// ProxyNode is the node under which services and proxies are registered, in the
	// catalog, as where there are no client agents: any server then serves them, and
	// none takes them along when it dies. Default: they are registered with this
	// server as their agent.
	ProxyNode string

	// OwnIPs gives each of several servers a loopback IP of its own, 127.0.0.1 and up,
	// and one port for xDS to all, as servers have it that tell of each other by IP.
	OwnIPs bool

	// WAN, which signs the servers' certificates, federates this datacenter with others
	// by mesh gateways alone: their gossip and their calls of each other go that way
	// too. Primary is a server of the primary datacenter, if this is a secondary, and
	// PrimaryGateway where that one's mesh gateway listens. The tokens are the primary's.
	WAN            *Authority
	Primary        *Consul
	PrimaryGateway string

	// Peering lets this cluster be peered with others.
	Peering bool

	// Config is HCL laid over the harness's own.
	Config string
}

// Consul is one server agent, whose data survives Restart: a cluster of its own, or one
// of StartConsulServers.
type Consul struct {
	*Process // the current run

	cfg     ConsulConfig
	command Command
	token   string
	servers []*Consul // of its cluster, itself among them

	ip                                       string
	httpPort, grpcPort, serverPort, serfPort int
	wanPort, grpcTLSPort                     int // -1: not opened
}

// StartConsul starts a server and returns when it leads, its ACLs and its
// certificate authority work, and its own node stands in the catalog.
func StartConsul(ctx context.Context, cfg ConsulConfig) (*Consul, error) {
	servers, err := StartConsulServers(ctx, 1, cfg)
	if err != nil {
		return nil, err
	}
	return servers[0], nil
}

// Start starts the server again after Stop or Kill, on the same ports and data.
func (c *Consul) Start(ctx context.Context) error {
	p, err := c.Process.again(c.command)
	if err != nil {
		return err
	}
	c.Process = p
	if err := p.Ready(ctx, c.ready); err != nil {
		p.Kill()
		return err
	}
	return nil
}

// Restart stops the server and starts it again.
func (c *Consul) Restart(ctx context.Context) error {
	if err := c.Stop(); err != nil {
		return err
	}
	return c.Start(ctx)
}

// HTTPAddr is host:port of Consul's API.
func (c *Consul) HTTPAddr() string { return c.at(c.httpPort) }

// GRPCAddr is host:port of Consul's xDS, in plain text.
func (c *Consul) GRPCAddr() string { return c.at(c.grpcPort) }

// RPCAddr is host:port of Consul's own RPC.
func (c *Consul) RPCAddr() string { return c.at(c.serverPort) }

// SerfAddr is host:port of the gossip of this datacenter, for agents to join.
func (c *Consul) SerfAddr() string { return c.at(c.serfPort) }

func (c *Consul) at(port int) string { return fmt.Sprintf("%s:%d", c.ip, port) }

// Datacenter is the one that the server is of.
func (c *Consul) Datacenter() string { return c.cfg.Datacenter }

// NodeName is the server's node in the catalog.
func (c *Consul) NodeName() string { return c.cfg.NodeName }

// ProxyNode is the node under which RegisterAgentService registers.
func (c *Consul) ProxyNode() string { return cmp.Or(c.cfg.ProxyNode, c.cfg.NodeName) }

// ManagementToken may do everything; "" with ACLs off.
func (c *Consul) ManagementToken() string { return c.token }

// API is a client with the management token.
func (c *Consul) API() *api.Client { return c.APIWith(c.token) }

// APIWith is a client with any token; "" is the anonymous one.
func (c *Consul) APIWith(token string) *api.Client {
	// Not api.DefaultConfig, which reads CONSUL_* variables of the developer's.
	client, err := api.NewClient(&api.Config{
		Address: c.HTTPAddr(), Scheme: "http", Token: token, Transport: newTransport(),
	})
	if err != nil {
		panic(err) // only a malformed address can do that, and this one is ours
	}
	return client
}

// ready asks for everything that a test may rely on at once. A leader alone is not
// enough: tokens, certificates and the catalog come some 100 ms after it.
func (c *Consul) ready(ctx context.Context) error {
	client, q := c.API(), (&api.QueryOptions{}).WithContext(ctx)
	if leader, err := client.Status().Leader(); err != nil || leader == "" {
		return errors.Join(errors.New("no leader"), err)
	}
	if c.token != "" {
		if _, _, err := client.ACL().TokenReadSelf(q); err != nil {
			return fmt.Errorf("reading the management token: %w", err)
		}
	}
	// What this server itself knows. Not by the agent's API: that keeps an answer that came
	// too early (1.22.5).
	own := (&api.QueryOptions{AllowStale: true}).WithContext(ctx)
	roots, _, err := client.Connect().CARoots(own)
	if err != nil {
		return fmt.Errorf("reading the certificate authority: %w", err)
	}
	if roots.ActiveRootID == "" {
		return errors.New("no active certificate authority")
	}
	node, _, err := client.Catalog().Node(c.cfg.NodeName, q)
	if err != nil {
		return fmt.Errorf("reading the server's own node: %w", err)
	}
	if node == nil || node.Services["consul"] == nil {
		return errors.New("the server's own node is not in the catalog")
	}
	return nil
}

// writeConfig writes the configuration and returns the agent's arguments for it.
func (c *Consul) writeConfig() (args []string, err error) {
	data := filepath.Join(c.cfg.Dir, "consul-data-"+c.cfg.NodeName)
	joined := []string{}
	for _, other := range c.servers {
		if other != c {
			joined = append(joined, other.SerfAddr())
		}
	}
	config := map[string]any{
		"server": true, "bootstrap_expect": len(c.servers), "retry_join": joined, "retry_interval": "200ms",
		"node_name": c.cfg.NodeName, "datacenter": c.cfg.Datacenter,
		"bind_addr": c.ip, "client_addr": c.ip, "data_dir": data, "log_level": c.cfg.LogLevel,
		"ports": map[string]int{
			"http": c.httpPort, "grpc": c.grpcPort, "server": c.serverPort, "serf_lan": c.serfPort,
			"grpc_tls": c.grpcTLSPort, "dns": -1, "serf_wan": c.wanPort,
		},
		"connect": map[string]any{"enabled": true},
		// By default a server that was killed is soon no voter any more, and not one again
		// before 10 s after its return: until then the next loss would cost the quorum.
		"autopilot": map[string]any{"cleanup_dead_servers": false},
		// The shortest Raft timeouts that Consul allows: an election in about 2 s.
		"performance":          map[string]int{"raft_multiplier": 1},
		"leave_on_terminate":   false, // a server that left would not lead again after Restart
		"disable_update_check": true,
		// A gauge is dropped when it has not changed for as long as this. See XDSStreams.
		"telemetry": map[string]any{"disable_hostname": true, "prometheus_retention_time": "1h"},
	}
	if !c.cfg.NoACL {
		config["acl"] = map[string]any{
			"enabled": true, "default_policy": "deny", "enable_token_persistence": false,
			"enable_token_replication": c.cfg.Primary != nil,
			"tokens":                   map[string]string{"initial_management": c.token, "agent": c.token, "replication": c.token},
		}
	}
	if c.cfg.WAN != nil {
		if err := c.federate(config); err != nil {
			return nil, err
		}
	}
	text, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	base := filepath.Join(c.cfg.Dir, "consul-"+c.cfg.NodeName+".json")
	if err := os.WriteFile(base, text, 0o600); err != nil {
		return nil, err
	}
	args = []string{"-config-file", base}
	if c.cfg.Config != "" {
		extra := filepath.Join(c.cfg.Dir, "consul-"+c.cfg.NodeName+"-extra.hcl")
		if err := os.WriteFile(extra, []byte(c.cfg.Config), 0o600); err != nil {
			return nil, err
		}
		args = append(args, "-config-file", extra)
	}
	return args, nil
}

// federate adds what mesh gateways need to carry servers' gossip and RPC.
func (c *Consul) federate(config map[string]any) error {
	name := "server." + c.cfg.Datacenter + ".consul"
	certFile, keyFile, err := c.cfg.WAN.Issue(name, c.cfg.NodeName+"."+name)
	if err != nil {
		return err
	}
	config["connect"] = map[string]any{"enabled": true, "enable_mesh_gateway_wan_federation": true}
	config["tls"] = map[string]any{"internal_rpc": map[string]any{
		"ca_file": c.cfg.WAN.CAFile, "cert_file": certFile, "key_file": keyFile,
		"verify_incoming": true, "verify_outgoing": true, "verify_server_hostname": true,
	}}
	if p := c.cfg.Primary; p != nil {
		config["primary_datacenter"] = p.cfg.Datacenter
		config["primary_gateways"], config["primary_gateways_interval"] = []string{c.cfg.PrimaryGateway}, "1s"
		config["retry_interval_wan"] = "200ms"
	}
	return nil
}

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// newUUID is a random version 4 UUID, the form that Consul wants a token in.
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, as its documentation says
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return strings.Join([]string{
		fmt.Sprintf("%x", b[0:4]), fmt.Sprintf("%x", b[4:6]), fmt.Sprintf("%x", b[6:8]),
		fmt.Sprintf("%x", b[8:10]), fmt.Sprintf("%x", b[10:]),
	}, "-")
}
