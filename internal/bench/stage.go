package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/lambdamesh/lambdamesh/internal/bench/report"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// startTimeout bounds the start of a process.
const startTimeout = time.Minute

// consulNode is the node that proxies are registered on.
const consulNode = "bench"

// stage is what one measurement starts, in processes of their own. All of it ends
// with the measurement.
type stage struct {
	*bench
	dir       string // for its files
	ports     *testmesh.Ports
	processes []*testmesh.Process
	ends      []func()
	results   []report.Result
}

func (b *bench) open(name string) (*stage, error) {
	s := &stage{bench: b, dir: filepath.Join(b.dir, name), ports: testmesh.NewPorts()}
	return s, os.Mkdir(s.dir, 0o700)
}

// add notes a result.
func (s *stage) add(r report.Result) { s.results = append(s.results, r) }

// atEnd has f called at the end, the last one first.
func (s *stage) atEnd(f func()) { s.ends = append(s.ends, f) }

func (s *stage) close() {
	for _, end := range slices.Backward(s.ends) {
		end()
	}
	s.ports.Close()
	_ = os.RemoveAll(s.dir)
}

// complain shows how the logs of the processes end.
func (s *stage) complain() {
	for _, p := range s.processes {
		fmt.Fprintf(os.Stderr, "\nlast lines of %s:\n%s\n", filepath.Base(p.LogPath()), p.Tail(5))
	}
}

// own has a process killed at the end: nothing in it is worth a farewell.
func (s *stage) own(p *testmesh.Process) {
	s.processes = append(s.processes, p)
	s.atEnd(p.Kill)
}

// startConsul starts a real Consul. Its ACLs are off: they cost Consul the same
// whoever asks. It does not pace its updates of proxies: the pace, 250 a second by
// default, would hide what is to be measured.
func (s *stage) startConsul(ctx context.Context) (*testmesh.Consul, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	c, err := testmesh.StartConsul(ctx, testmesh.ConsulConfig{
		Bin: s.consul, Dir: s.dir, Ports: s.ports, NoACL: true, ProxyNode: consulNode,
		LogLevel: "warn", Config: `xds { update_max_per_second = 0 }`,
	})
	if err != nil {
		return nil, err
	}
	s.own(c.Process)
	return c, nil
}

// startMode starts another mode of this program, and returns where it listens.
func (s *stage) startMode(ctx context.Context, mode, argument string) (addr string, err error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	port, err := s.ports.Get()
	if err != nil {
		return "", err
	}
	addr = fmt.Sprintf("127.0.0.1:%d", port)
	p, err := testmesh.StartProcess(testmesh.Command{
		Name: mode, Path: self, Args: []string{mode, addr, argument}, Env: testmesh.Environ(s.dir), Dir: s.dir,
	})
	if err != nil {
		return "", err
	}
	s.own(p)
	return addr, p.Ready(ctx, func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// startUpstream starts the fake of Consul's xDS.
func (s *stage) startUpstream(ctx context.Context) (addr string, err error) {
	return s.startMode(ctx, "upstream", s.bench.dir)
}

// startRelay starts the bare relay.
func (s *stage) startRelay(ctx context.Context, target string) (addr string, err error) {
	return s.startMode(ctx, "relay", target)
}

// startLambdamesh starts lambdamesh between Envoys and the upstream, with its
// defaults, but for what the process takes in a second: a fleet of proxies that all
// begin at once is not what that bound is for.
func (s *stage) startLambdamesh(ctx context.Context, c *testmesh.Consul, upstream string, args ...string) (*measured, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	port, err := s.ports.Get()
	if err != nil {
		return nil, err
	}
	profiles := fmt.Sprintf("127.0.0.1:%d", port)
	l, err := testmesh.StartLambdamesh(ctx, testmesh.LambdameshConfig{
		Bin: s.lambdamesh, Dir: s.dir, Ports: s.ports, Env: []string{profileEnv + "=" + profiles},
		Args: append([]string{"--consul-http-addr", c.HTTPAddr(), "--consul-grpc-addr", upstream, "--max-new-streams", "100000"}, args...),
	})
	if err != nil {
		return nil, err
	}
	var profiling sync.WaitGroup
	s.atEnd(profiling.Wait) // it ends by the process's end
	s.own(l.Process)
	if s.profiles != "" {
		prefix := filepath.Join(s.profiles, fmt.Sprintf("%s-%d", filepath.Base(s.dir), l.Pid()))
		profiling.Go(func() { keepProfiles(profiles, prefix) })
	}
	return &measured{l, profiles}, nil
}
