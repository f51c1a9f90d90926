package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/lambdamesh/lambdamesh/internal/bench/fakeaws"
	"github.com/lambdamesh/lambdamesh/internal/bench/report"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// awsMemory reports the most memory that `lambdamesh sync` ever has: for 100,000
// functions of which 1,000 are in the mesh, for 100,000 that all are to be and are
// new, so that the plan has a change for each, and for 10,000 that Consul has.
func awsMemory(ctx context.Context, s *stage) error {
	b, err := s.startSides(ctx, 0)
	if err != nil {
		return err
	}
	for _, c := range []struct {
		name      string
		functions fakeaws.Functions
		first     bool // made in Consul before
	}{
		{"1000-enabled-of-100000", fakeaws.Functions{Total: 100_000, Enabled: 1000}, false},
		{"100000-enabled", fakeaws.Functions{Total: 100_000, Enabled: 100_000}, false},
		{"10000-kept", fakeaws.Functions{Total: 10_000, Enabled: 10_000}, true},
	} {
		b.aws.Set(c.functions)
		if c.first {
			if _, err := s.syncOnce(ctx, b); err != nil {
				return fmt.Errorf("%s: making them: %w", c.name, err)
			}
		}
		peak, err := s.syncOnce(ctx, b, "--dry-run")
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		s.add(report.Plain("aws-memory/"+c.name+"/peak", peak, "MB"))
	}
	return nil
}

// syncOnce runs `lambdamesh sync`, and returns the most memory that it had, in MB.
func (s *stage) syncOnce(ctx context.Context, b *sides, args ...string) (peak float64, err error) {
	args = append([]string{"sync", "-o", "json", "--log-level", "warn", "--aws-rate", "100000", "--consul-http-addr", b.server.HTTPAddr()}, args...)
	sync := exec.CommandContext(ctx, s.lambdamesh, args...)
	sync.Env = testmesh.Environ(s.dir)
	for name, value := range b.aws.Env() {
		sync.Env = append(sync.Env, name+"="+value)
	}
	sync.Stderr = os.Stderr
	if err := sync.Start(); err != nil {
		return 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- sync.Wait() }()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case err := <-ended:
			return peak, err
		case <-look.C:
			peak = max(peak, peakOf(sync.Process.Pid))
		}
	}
}

// peakOf is the most memory that a process has had, in MB; 0 if it has ended. What the
// process leaves in its rusage is no good: it counts the memory of the one that forked it.
func peakOf(pid int) (peak float64) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if _, err := fmt.Sscanf(line, "VmHWM: %f kB", &peak); err == nil {
			return peak / 1024
		}
	}
	return 0
}
