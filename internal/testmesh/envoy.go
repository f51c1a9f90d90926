package testmesh

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/lambdamesh/lambdamesh/internal/parts"
)

// EnvoyConfig says how an Envoy is started. Bin, Dir, Bootstrap and AdminPort are
// required.
type EnvoyConfig struct {
	Bin  parts.Part
	Dir  string // for its bootstrap and log; must exist
	Name string // for file names and messages; default "envoy"

	// Bootstrap is the JSON of the bootstrap. Its admin server must be on AdminPort.
	Bootstrap []byte
	AdminPort int

	// Credentials are what the aws_lambda filter signs with. Nil: none are found, and
	// the filter sends unsigned requests.
	Credentials *Credentials

	// AcceptUnknownFields leaves out --reject-unknown-dynamic-fields.
	AcceptUnknownFields bool

	LogLevel string   // default "info"
	Args     []string // further arguments
	Env      []string // further environment
}

// Credentials are static AWS credentials.
type Credentials struct {
	AccessKeyID, SecretAccessKey, SessionToken string
}

func (c *Credentials) environ() []string {
	if c == nil {
		return nil
	}
	env := []string{"AWS_ACCESS_KEY_ID=" + c.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + c.SecretAccessKey}
	if c.SessionToken != "" {
		env = append(env, "AWS_SESSION_TOKEN="+c.SessionToken)
	}
	return env
}

// Envoy is one Envoy process.
type Envoy struct {
	*Process // the current run

	cfg     EnvoyConfig
	command Command
}

// StartEnvoy starts an Envoy and returns when its admin server answers. That does
// not mean that it has its listeners: see WaitReady.
func StartEnvoy(ctx context.Context, cfg EnvoyConfig) (*Envoy, error) {
	cfg.Name = cmp.Or(cfg.Name, "envoy")
	file := filepath.Join(cfg.Dir, cfg.Name+".json")
	if err := os.WriteFile(file, cfg.Bootstrap, 0o600); err != nil { // it holds a token
		return nil, fmt.Errorf("writing Envoy's bootstrap: %w", err)
	}
	args := []string{
		"--config-path", file, "--concurrency", "1", "--log-level", cmp.Or(cfg.LogLevel, "info"),
		// Without hot restart there is no shared memory and no base id to clash on.
		"--disable-hot-restart",
	}
	if !cfg.AcceptUnknownFields {
		args = append(args, "--reject-unknown-dynamic-fields")
	}
	// Nothing here may look for a machine's role: it would wait for an address that
	// does not answer.
	env := append(Environ(cfg.Dir, "AWS_EC2_METADATA_DISABLED=true"), cfg.Credentials.environ()...)
	e := &Envoy{cfg: cfg, command: Command{
		Name: cfg.Name, Path: cfg.Bin.Path, Dir: cfg.Dir,
		Args: append(args, cfg.Args...), Env: append(env, cfg.Env...),
	}}
	if err := e.Start(ctx); err != nil {
		return nil, err
	}
	return e, nil
}

// Start starts Envoy again after Stop or Kill.
func (e *Envoy) Start(ctx context.Context) error {
	p, err := e.Process.again(e.command)
	if err != nil {
		return err
	}
	e.Process = p
	if err := p.Ready(ctx, func(ctx context.Context) error {
		_, err := e.Admin(ctx, "GET", "/server_info")
		return err
	}); err != nil {
		p.Kill()
		return err
	}
	return nil
}

// WaitReady returns when Envoy has everything it waits for at its start (/ready says
// LIVE): its clusters are warm and its first listeners stand. Envoy says so, too, when
// the server has given it none.
func (e *Envoy) WaitReady(ctx context.Context) error {
	return e.Ready(ctx, func(ctx context.Context) error {
		_, err := e.Admin(ctx, "GET", "/ready")
		return err
	})
}

// AdminAddr is host:port of the admin server.
func (e *Envoy) AdminAddr() string { return loopback(e.cfg.AdminPort) }
