package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"github.com/lambdamesh/lambdamesh/internal/bench/fakeaws"
	"github.com/lambdamesh/lambdamesh/internal/bench/report"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// awsMemory reports the most memory that `lambdamesh sync` ever has, for 100,000
// functions of which 1,000 are in the mesh, and for 100,000 that all are. The latter
// are all new: their plan has a change for each.
func awsMemory(ctx context.Context, s *stage) error {
	b, err := s.startSides(ctx, 0)
	if err != nil {
		return err
	}
	for _, enabled := range []int{1000, 100_000} {
		b.aws.Set(fakeaws.Functions{Total: 100_000, Enabled: enabled})
		sync := exec.CommandContext(ctx, s.lambdamesh, "sync", "--dry-run", "-o", "json", "--aws-rate", "100000",
			"--consul-http-addr", b.server.HTTPAddr())
		sync.Env = testmesh.Environ(s.dir)
		for name, value := range b.aws.Env() {
			sync.Env = append(sync.Env, name+"="+value)
		}
		sync.Stderr = os.Stderr
		if err := sync.Run(); err != nil {
			return fmt.Errorf("planning for %d functions: %w", enabled, err)
		}
		usage, _ := sync.ProcessState.SysUsage().(*syscall.Rusage)
		name := fmt.Sprintf("aws-memory/%d-enabled-of-100000/peak", enabled)
		s.add(report.Plain(name, float64(usage.Maxrss)/1024, "MB"))
	}
	return nil
}
