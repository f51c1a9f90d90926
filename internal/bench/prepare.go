package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/lambdamesh/lambdamesh/internal/bench/fakeconsul"
	"github.com/lambdamesh/lambdamesh/internal/parts"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// prepare builds lambdamesh as a release is built, but for the profiler, and finds what
// else is needed.
func (b *bench) prepare(ctx context.Context) error {
	if err := raiseFileLimit(); err != nil {
		return err
	}
	cache, err := parts.Open(os.Stderr)
	if err != nil {
		return err
	}
	if b.consul, err = cache.Consul(ctx); err != nil {
		return err
	}
	if b.envoy, err = cache.Envoy(ctx); err != nil {
		return err
	}
	root, err := testmesh.SourceRoot()
	if err != nil {
		return err
	}
	if err := fakeconsul.WriteTemplates(b.dir); err != nil {
		return err
	}
	b.lambdamesh = filepath.Join(b.dir, "lambdamesh")
	overlay, err := b.overlay(root)
	if err != nil {
		return err
	}
	if b.profiles != "" {
		if err := os.MkdirAll(b.profiles, 0o755); err != nil {
			return err
		}
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", b.lambdamesh, "-overlay", overlay, "./cmd/lambdamesh")
	build.Dir = root
	if text, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building lambdamesh: %w\n%s", err, text)
	}
	return nil
}

// raiseFileLimit allows as many files as may be allowed: a connection is one.
func raiseFileLimit() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("reading the limit of open files: %w", err)
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("raising the limit of open files: %w", err)
	}
	return nil
}
