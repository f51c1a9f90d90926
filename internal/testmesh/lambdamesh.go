package testmesh

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// LambdameshConfig says how lambdamesh is started. Dir and Ports are required.
type LambdameshConfig struct {
	Bin   string // default: BuildLambdamesh
	Dir   string // for its log; must exist
	Ports *Ports
	Name  string // for file names and messages; default "lambdamesh"

	// Args follow "serve --xds-addr A --admin-addr B". Env is added to a small
	// environment that inherits nothing.
	Args []string
	Env  []string

	// NoWait makes Start return when livez answers, instead of readyz. That is for tests
	// in which Consul is not there.
	NoWait bool
}

// Lambdamesh is one "lambdamesh serve".
type Lambdamesh struct {
	*Process // the current run

	cfg     LambdameshConfig
	command Command

	xdsPort, adminPort int
}

// StartLambdamesh starts it and returns when readyz says 200.
func StartLambdamesh(ctx context.Context, cfg LambdameshConfig) (*Lambdamesh, error) {
	cfg.Name = cmp.Or(cfg.Name, "lambdamesh")
	if cfg.Bin == "" {
		bin, err := BuildLambdamesh(ctx)
		if err != nil {
			return nil, err
		}
		cfg.Bin = bin
	}
	l := &Lambdamesh{cfg: cfg}
	if err := cfg.Ports.Fill(&l.xdsPort, &l.adminPort); err != nil {
		return nil, err
	}
	l.SetArgs(cfg.Args...)
	if err := l.Start(ctx); err != nil {
		return nil, err
	}
	return l, nil
}

// SetArgs replaces the further arguments of the next Start.
func (l *Lambdamesh) SetArgs(args ...string) {
	l.command = Command{
		Name: l.cfg.Name, Path: l.cfg.Bin, Dir: l.cfg.Dir, Env: append(Environ(l.cfg.Dir), l.cfg.Env...),
		Args: append([]string{"serve", "--xds-addr", l.XDSAddr(), "--admin-addr", l.AdminAddr()}, args...),
	}
}

// Start starts it again after Stop or Kill, on the same ports.
func (l *Lambdamesh) Start(ctx context.Context) error {
	p, err := l.Process.again(l.command)
	if err != nil {
		return err
	}
	l.Process = p
	path := "/readyz"
	if l.cfg.NoWait {
		path = "/livez"
	}
	if err := p.Ready(ctx, func(ctx context.Context) error {
		_, err := l.Admin(ctx, path)
		return err
	}); err != nil {
		p.Kill()
		return err
	}
	return nil
}

// Stop ends it as Process.Stop does. It must exit with 0, which the race detector does
// not let it if it found a race; a race in a run that was killed shows in the log.
func (l *Lambdamesh) Stop() error {
	running := l.Running()
	if err := l.Process.Stop(); err != nil {
		return err
	}
	if err := l.Err(); running && err != nil {
		return fmt.Errorf("stopping %s: %w; last lines of its log:\n%s", l.cfg.Name, err, l.Tail(60))
	}
	log, err := os.ReadFile(l.LogPath())
	if err != nil {
		return fmt.Errorf("reading the log of %s: %w", l.cfg.Name, err)
	}
	if at := bytes.Index(log, []byte("WARNING: DATA RACE")); at >= 0 {
		return fmt.Errorf("%s has a data race:\n%.4000s", l.cfg.Name, log[at:])
	}
	return nil
}

// Restart stops it and starts it again.
func (l *Lambdamesh) Restart(ctx context.Context) error {
	if err := l.Stop(); err != nil {
		return err
	}
	return l.Start(ctx)
}

// XDSAddr is where Envoys connect, and AdminAddr where its admin pages are.
func (l *Lambdamesh) XDSAddr() string { return loopback(l.xdsPort) }

// AdminAddr is host:port of the admin pages.
func (l *Lambdamesh) AdminAddr() string { return loopback(l.adminPort) }

// Admin gets an admin page and returns the body of a 200.
func (l *Lambdamesh) Admin(ctx context.Context, path string) ([]byte, error) {
	return fetch(ctx, http.MethodGet, "http://"+l.AdminAddr()+path, nil)
}

// WaitReady returns when readyz says 200.
func (l *Lambdamesh) WaitReady(ctx context.Context) error {
	return l.Ready(ctx, func(ctx context.Context) error {
		_, err := l.Admin(ctx, "/readyz")
		return err
	})
}

// State reads /api/v1/state into v.
func (l *Lambdamesh) State(ctx context.Context, v any) error {
	body, err := l.Admin(ctx, "/api/v1/state")
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("reading lambdamesh's state: %w", err)
	}
	return nil
}

// Metrics are the samples of /metrics by name and labels, as they stand there:
// `lambdamesh_services{state="ok"}`.
func (l *Lambdamesh) Metrics(ctx context.Context) (map[string]float64, error) {
	body, err := l.Admin(ctx, "/metrics")
	if err != nil {
		return nil, err
	}
	samples := map[string]float64{}
	for line := range strings.Lines(string(body)) {
		at := strings.LastIndex(line, " ")
		if at < 0 || strings.HasPrefix(line, "#") {
			continue
		}
		if value, err := strconv.ParseFloat(strings.TrimSpace(line[at:]), 64); err == nil {
			samples[line[:at]] = value
		}
	}
	return samples, nil
}

// Run runs another command of the same program ("sync", "--dry-run") with the same
// environment, and returns its standard output. All that it writes is in NAME-run.log, too.
func (l *Lambdamesh) Run(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, l.cfg.Bin, args...)
	cmd.Env, cmd.Dir = l.command.Env, l.cfg.Dir
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err := l.noteRun(args, out, errs.String()); err != nil {
		return "", err
	}
	if err != nil {
		return string(out), fmt.Errorf("running lambdamesh %s: %w: %s", strings.Join(args, " "), err, errs.String())
	}
	return string(out), nil
}

// noteRun appends what a command wrote to a log.
func (l *Lambdamesh) noteRun(args []string, out []byte, errs string) error {
	file, err := os.OpenFile(filepath.Join(l.cfg.Dir, l.cfg.Name+"-run.log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("opening the log of lambdamesh's commands: %w", err)
	}
	_, err = fmt.Fprintf(file, "lambdamesh %s\n%s%s", strings.Join(args, " "), out, errs)
	return errors.Join(err, file.Close())
}
