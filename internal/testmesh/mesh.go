package testmesh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/consul/api"
	"github.com/lambdamesh/lambdamesh/internal/parts"
)

// MeshConfig says which mesh is started. The zero value is a whole one, whose
// lambdamesh has the registrator inside.
type MeshConfig struct {
	Dir      string       // for files; default: a temporary folder, removed by Close
	Progress io.Writer    // of fetching the parts; default: discarded
	Cache    *parts.Cache // default: the user's

	Consul  ConsulConfig // Bin, Dir and Ports are filled
	Servers int          // how many servers Consul has; default 1
	AWS     AWSConfig    // as Consul

	// Rules are those of lambdamesh's token; default LambdameshRules.
	Rules string

	NoRegistrator bool   // leave out --registrator
	SyncInterval  string // of the registrator; default "1s"

	// LambdameshBin is the program; default: BuildLambdamesh.
	LambdameshBin string
	// LambdameshArgs follow the harness's own arguments and so win over them.
	LambdameshArgs []string
	LambdameshEnv  []string

	// Beside is another mesh: this one is a Consul and a lambdamesh of its own that share
	// that one's AWS. It must end before that one does.
	Beside *Mesh

	// NoLambdamesh starts none; StartLambdamesh does so later.
	NoLambdamesh bool

	// AcceptUnknownFields starts Envoys without --reject-unknown-dynamic-fields.
	AcceptUnknownFields bool
}

// Mesh is a Consul, an AWS and a lambdamesh that belong together, and the gateways and
// sidecars added to them, each with an ACL token and an Envoy of its own.
type Mesh struct {
	Consul     *Consul   // the server whose API the mesh's parts use
	Servers    []*Consul // all, that one first
	AWS        *AWS
	Lambdamesh *Lambdamesh // nil until started
	Token      *api.ACLToken

	cfg     MeshConfig
	dir     string
	tempDir bool
	ports   *Ports
	envoy   parts.Part

	mu     sync.Mutex
	envoys []*Envoy // in the order of their starts
}

// StartMesh starts Consul, AWS and lambdamesh. On an error everything that was started
// has ended again.
func StartMesh(ctx context.Context, cfg MeshConfig) (*Mesh, error) {
	m := &Mesh{cfg: cfg, dir: cfg.Dir, ports: NewPorts()}
	if err := m.start(ctx); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

func (m *Mesh) start(ctx context.Context) (err error) {
	if m.dir == "" {
		if m.dir, err = os.MkdirTemp("", "lambdamesh-"); err != nil {
			return fmt.Errorf("making the mesh's folder: %w", err)
		}
		m.tempDir = true
	}
	if m.cfg.Cache == nil {
		if m.cfg.Cache, err = parts.Open(m.cfg.Progress); err != nil {
			return err
		}
	}
	consul, aws := m.cfg.Consul, m.cfg.AWS
	if consul.Bin.Path == "" {
		if consul.Bin, err = m.cfg.Cache.Consul(ctx); err != nil {
			return err
		}
	}
	if aws.Bin.Path == "" {
		if aws.Bin, err = m.cfg.Cache.Ministack(ctx); err != nil {
			return err
		}
	}
	if m.envoy, err = m.cfg.Cache.Envoy(ctx); err != nil {
		return err
	}
	consul.Dir, consul.Ports = m.dir, m.ports
	aws.Dir, aws.Ports = m.dir, m.ports
	if m.cfg.Beside != nil {
		m.AWS = m.cfg.Beside.AWS
	} else if m.AWS, err = StartAWS(ctx, aws); err != nil {
		return err
	}
	if m.Servers, err = StartConsulServers(ctx, max(m.cfg.Servers, 1), consul); err != nil {
		return err
	}
	m.Consul = m.Servers[0]
	m.Token = &api.ACLToken{}
	if !consul.NoACL {
		if m.Token, err = m.Consul.Token(ctx, "lambdamesh", cmp.Or(m.cfg.Rules, LambdameshRules)); err != nil {
			return err
		}
	}
	if m.cfg.NoLambdamesh {
		return nil
	}
	return m.StartLambdamesh(ctx)
}

// StartLambdamesh starts the mesh's lambdamesh if MeshConfig left it out. The arguments
// follow those of the mesh.
func (m *Mesh) StartLambdamesh(ctx context.Context, args ...string) (err error) {
	m.Lambdamesh, err = m.NewLambdamesh(ctx, "lambdamesh", args...)
	return err
}

// NewLambdamesh starts a lambdamesh for this mesh with the mesh's arguments, and more:
// a second replica, or one with other flags. The caller stops it, as Close does not.
func (m *Mesh) NewLambdamesh(ctx context.Context, name string, args ...string) (*Lambdamesh, error) {
	return StartLambdamesh(ctx, LambdameshConfig{
		Bin: m.cfg.LambdameshBin, Dir: m.dir, Ports: m.ports, Name: name,
		Args: append(m.LambdameshArgs(), args...), Env: m.LambdameshEnviron(),
	})
}

// LambdameshArgs are the arguments of "serve" for this mesh, but for its own addresses.
func (m *Mesh) LambdameshArgs() []string {
	var servers []string
	for _, c := range m.Servers {
		servers = append(servers, c.GRPCAddr())
	}
	// Restarts and the end of a test need not be spread.
	args := []string{"--drain-timeout", "1s", "--consul-grpc-addr", strings.Join(servers, ","), "--lambda-endpoint-url", m.AWS.Invoke.URL()}
	if file := m.AWS.CAFile(); file != "" {
		args = append(args, "--lambda-ca-file", file)
	}
	if !m.cfg.NoRegistrator {
		args = append(args, "--registrator", "--sync-interval", cmp.Or(m.cfg.SyncInterval, "1s"))
	}
	return append(args, m.cfg.LambdameshArgs...)
}

// LambdameshEnviron is the environment that connects lambdamesh's commands to this mesh.
func (m *Mesh) LambdameshEnviron() []string {
	env := append(m.AWS.Environ(), "CONSUL_HTTP_ADDR=http://"+m.Consul.HTTPAddr())
	if m.Token.SecretID != "" {
		env = append(env, "CONSUL_HTTP_TOKEN="+m.Token.SecretID)
	}
	return append(env, m.cfg.LambdameshEnv...)
}

// Ports are the mesh's, for further parts.
func (m *Mesh) Ports() *Ports { return m.ports }

// Dir is the mesh's folder, with every log.
func (m *Mesh) Dir() string { return m.dir }

// Processes are all that run or ran, in the order of their starts, for their logs.
func (m *Mesh) Processes() []*Process {
	var all []*Process
	if m.AWS != nil && m.cfg.Beside == nil {
		all = append(all, m.AWS.Process)
	}
	for _, c := range m.Servers {
		all = append(all, c.Process)
	}
	if m.Lambdamesh != nil {
		all = append(all, m.Lambdamesh.Process)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.envoys {
		all = append(all, e.Process)
	}
	return all
}

// Close ends everything, the last started first.
func (m *Mesh) Close() error {
	var errs []error
	m.mu.Lock()
	envoys := slices.Clone(m.envoys)
	m.mu.Unlock()
	for _, e := range slices.Backward(envoys) {
		errs = append(errs, e.Stop())
	}
	if m.Lambdamesh != nil {
		errs = append(errs, m.Lambdamesh.Stop())
	}
	for _, c := range slices.Backward(m.Servers) {
		errs = append(errs, c.Stop())
	}
	if m.AWS != nil && m.cfg.Beside == nil {
		errs = append(errs, m.AWS.Close())
	}
	m.ports.Close()
	if m.tempDir {
		errs = append(errs, os.RemoveAll(m.dir))
	}
	return errors.Join(errs...)
}

// startEnvoy bootstraps and starts the Envoy of a registered proxy.
func (m *Mesh) startEnvoy(ctx context.Context, name, proxyID, token string, o ProxyOptions) (*Envoy, error) {
	var admin int
	if err := m.ports.Fill(&admin); err != nil {
		return nil, err
	}
	xds := o.XDSAddr
	if len(o.XDSAddrs) > 0 {
		xds = o.XDSAddrs[0]
	}
	if xds == "" {
		if m.Lambdamesh == nil {
			return nil, errors.New("the mesh has no lambdamesh for an Envoy to connect to")
		}
		xds = m.Lambdamesh.XDSAddr()
	}
	envoyToken := cmp.Or(o.EnvoyToken, token)
	boot := BootstrapConfig{GRPCAddr: xds, AdminAddr: loopback(admin), Token: token, ProxyID: proxyID}
	if !o.NoNodeName {
		boot.NodeName = m.Consul.ProxyNode()
	}
	bootstrap, err := m.Consul.Bootstrap(ctx, boot)
	if err != nil {
		return nil, err
	}
	if envoyToken != token {
		bootstrap = replaceToken(bootstrap, token, envoyToken)
	}
	if len(o.XDSAddrs) > 0 {
		if bootstrap, err = withReplicas(bootstrap, o.XDSAddrs); err != nil {
			return nil, err
		}
	}
	bin := m.envoy
	if o.EnvoyVersion != "" {
		if bin, err = m.cfg.Cache.EnvoyOf(ctx, o.EnvoyVersion); err != nil {
			return nil, err
		}
	}
	var credentials *Credentials
	if !o.NoCredentials {
		of := m.AWS.Credentials()
		credentials = &of
	}
	e, err := StartEnvoy(ctx, EnvoyConfig{
		Bin: bin, Dir: m.dir, Name: name, Bootstrap: bootstrap, AdminPort: admin, Credentials: credentials,
		AcceptUnknownFields: m.cfg.AcceptUnknownFields, LogLevel: o.LogLevel, Args: o.EnvoyArgs,
	})
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.envoys = append(m.envoys, e)
	return e, nil
}
