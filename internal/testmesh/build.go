package testmesh

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/lambdamesh/lambdamesh/internal/parts"
)

// BuildLambdamesh builds cmd/lambdamesh, with the race detector if we have it, and
// returns the program.
func BuildLambdamesh(ctx context.Context) (string, error) {
	return build(ctx, "lambdamesh", func(dir string) []string {
		args := []string{"build", "-o", filepath.Join(dir, "lambdamesh")}
		if raceEnabled {
			args = append(args, "-race")
		}
		return append(args, "./cmd/lambdamesh")
	})
}

// BuildLambdaZip builds the registrator for AWS Lambda, as "make lambda-zip" does, and
// returns the zip file for this machine.
func BuildLambdaZip(ctx context.Context) (string, error) {
	return build(ctx, "lambda-registrator-"+runtime.GOARCH+".zip", func(dir string) []string {
		return []string{"run", "./internal/lambdazip", "-o", dir, "-arch", runtime.GOARCH}
	})
}

// build runs go with the arguments for a folder, and returns the file that it leaves
// there. It goes into the cache under a name of this checkout, so that
// the next build finds it up to date in a fraction of a second and nothing is left to
// be removed; a lock keeps parallel test processes from building into each other.
func build(ctx context.Context, name string, args func(dir string) []string) (string, error) {
	root, err := SourceRoot()
	if err != nil {
		return "", err
	}
	cache, err := parts.Open(nil)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(root))
	dir := filepath.Join(cache.Dir(), "build", hex.EncodeToString(sum[:6]))
	if raceEnabled {
		dir += "-race"
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("building %s: %w", name, err)
	}
	unlock, err := lockFile(ctx, filepath.Join(dir, "lock"))
	if err != nil {
		return "", fmt.Errorf("building %s: %w", name, err)
	}
	defer unlock()
	cmd := exec.CommandContext(ctx, "go", args(dir)...)
	cmd.Dir = root
	// A group of its own, so that the compilers end with it when ctx does. By SIGINT,
	// on which go removes its temporary folder.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = 5 * time.Second
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w\n%s", name, err, text)
	}
	return filepath.Join(dir, name), nil
}

// lockPoll is how often a held lock is tried again. flock itself can wait, but not give
// up when a context ends.
const lockPoll = 100 * time.Millisecond

// lockFile waits for the exclusive lock of a file until ctx ends.
func lockFile(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if err != syscall.EINTR && err != syscall.EWOULDBLOCK {
			_ = f.Close()
			return nil, err
		}
		select {
		case <-ctx.Done():
			_ = f.Close()
			return nil, ctx.Err()
		case <-time.After(lockPoll):
		}
	}
}
