// Command record asks a real Consul what it tells each kind of proxy about Lambda
// services, and writes that down as the inputs of golden tests:
//
//	go run ./internal/golden/record
//
// It starts a Consul of its own, of the pinned version, on free ports of loopback,
// and ends it. Trust domain, certificates and keys are replaced by fixed values, so
// that recording twice gives the same files. Afterwards look at the difference and
// at what `go test ./lambda/patch -update` makes of it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/lambdamesh/lambdamesh/internal/golden"
	"github.com/lambdamesh/lambdamesh/internal/parts"
)

// enough is how long one proxy's part may take; it takes a second or two.
const enough = time.Minute

func main() {
	out := flag.String("out", filepath.Join("lambda", "patch", "testdata"), "folder in which each case has one")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *out)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out string) (err error) {
	cache, err := parts.Open(os.Stderr)
	if err != nil {
		return err
	}
	part, err := cache.Consul(ctx)
	if err != nil {
		return err
	}
	fmt.Println(part)
	server, err := start(ctx, part.Path)
	if err != nil {
		return err
	}
	defer func() {
		if stopped := server.stop(); err == nil {
			err = stopped
		}
	}()
	if err := server.set(ctx); err != nil {
		return err
	}
	scrub, err := server.scrubber()
	if err != nil {
		return err
	}
	var names []string
	for _, c := range cases() {
		recording, err := record(ctx, server, c, scrub)
		if err != nil {
			return fmt.Errorf("recording %s: %w", c.name, err)
		}
		b, err := golden.JSON(recording)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Join(out, c.name), 0o755); err != nil {
			return err
		}
		file := filepath.Join(out, c.name, "input.json")
		if err := os.WriteFile(file, b, 0o644); err != nil {
			return err
		}
		fmt.Printf("%s: %d clusters, %d endpoints\n", file, len(recording.Clusters), len(recording.Endpoints))
		names = append(names, file)
	}
	return removeOrphans(out, names)
}

// removeOrphans removes inputs that no case has any more.
func removeOrphans(out string, names []string) error {
	files, err := filepath.Glob(filepath.Join(out, "*", "input.json"))
	if err != nil {
		return err
	}
	for _, file := range files {
		if !slices.Contains(names, file) {
			if err := os.Remove(file); err != nil {
				return err
			}
		}
	}
	return nil
}
