package parts

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// markerFile is written last into a part's folder: a folder without it is the rest
// of an interrupted fetch.
const markerFile = ".complete"

// Cache is the folder that holds the parts, and the way to fill it. Its methods may
// be called from several goroutines and processes at once.
type Cache struct {
	dir      string
	progress io.Writer
}

// Open finds the user's cache; it does not fetch. Progress lines go to progress;
// nil discards them. $XDG_CACHE_HOME counts only if it is absolute, as its
// specification says.
func Open(progress io.Writer) (*Cache, error) {
	base := os.Getenv("XDG_CACHE_HOME")
	if !filepath.IsAbs(base) {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, fmt.Errorf("finding the cache: %w", err)
		}
		base = filepath.Join(home, ".cache")
	}
	if progress == nil {
		progress = io.Discard
	}
	return &Cache{dir: filepath.Join(base, "lambdamesh"), progress: progress}, nil
}

// Dir is the cache's folder. It may not exist yet.
func (c *Cache) Dir() string { return c.dir }

// Consul returns Consul 1.22.5, and builds it first if it is not there.
func (c *Cache) Consul(ctx context.Context) (Part, error) { return c.get(ctx, consulRecipe()) }

// Envoy returns Envoy 1.40.0, and installs it first if it is not there.
func (c *Cache) Envoy(ctx context.Context) (Part, error) {
	return c.get(ctx, envoyRecipe(EnvoyVersion))
}

// EnvoyOf returns Envoy of a version, one of OlderEnvoys or EnvoyVersion, as Envoy does.
func (c *Cache) EnvoyOf(ctx context.Context, version string) (Part, error) {
	return c.get(ctx, envoyRecipe(version))
}

// Ministack returns ministack 1.5.33, and installs it first if it is not there.
func (c *Cache) Ministack(ctx context.Context) (Part, error) { return c.get(ctx, ministackRecipe()) }

// Terraform returns Terraform of a version, TerraformVersion or OldestTerraform, and
// installs it first if it is not there.
func (c *Cache) Terraform(ctx context.Context, version string) (Part, error) {
	return c.get(ctx, terraformRecipe(version))
}

// Checkov returns checkov 3.3.30, and installs it first if it is not there.
func (c *Cache) Checkov(ctx context.Context) (Part, error) { return c.get(ctx, checkovRecipe()) }

// All returns every part that the demo and the tests need, in the order consul, envoys, ministack. The short fetches
// go first, so that what cannot be reached shows before Consul's long build.
func (c *Cache) All(ctx context.Context) ([]Part, error) {
	ministack, err := c.Ministack(ctx)
	if err != nil {
		return nil, err
	}
	envoy, err := c.Envoy(ctx)
	if err != nil {
		return nil, err
	}
	envoys := []Part{envoy}
	for _, version := range OlderEnvoys {
		older, err := c.EnvoyOf(ctx, version)
		if err != nil {
			return nil, err
		}
		envoys = append(envoys, older)
	}
	consul, err := c.Consul(ctx)
	if err != nil {
		return nil, err
	}
	return append(append([]Part{consul}, envoys...), ministack), nil
}

func (c *Cache) get(ctx context.Context, r recipe) (Part, error) {
	if path := os.Getenv(r.override); r.override != "" && path != "" {
		return overridden(r, path)
	}
	if path := onPath(ctx, r); path != "" {
		return Part{Name: r.name, Path: path, Version: r.version, Origin: "PATH"}, nil
	}
	path, err := c.cached(ctx, r)
	if err != nil {
		return Part{}, fmt.Errorf("fetching %s %s: %w", r.name, r.version, err)
	}
	return Part{Name: r.name, Path: path, Version: r.version, Origin: "cache"}, nil
}

func overridden(r recipe, path string) (Part, error) {
	abs, err := filepath.Abs(path)
	if err == nil {
		// LookPath of a path with a slash checks that it is an executable file.
		_, err = exec.LookPath(abs)
	}
	if err != nil {
		return Part{}, fmt.Errorf("using %s: %w", r.override, err)
	}
	return Part{Name: r.name, Path: abs, Origin: r.override}, nil
}

// onPath returns the program on PATH if it is exactly the pinned version, else "".
func onPath(ctx context.Context, r recipe) string {
	if len(r.versionArgs) == 0 {
		return ""
	}
	path, err := exec.LookPath(r.name)
	if err != nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, r.versionArgs...).Output()
	if err != nil || !strings.Contains(string(out), r.versionWant) {
		return ""
	}
	return path
}

// cached returns the program's path in the cache, and fetches it if it is not there.
func (c *Cache) cached(ctx context.Context, r recipe) (string, error) {
	dir := filepath.Join(c.dir, r.name, fmt.Sprintf("%s-%s-%s", r.version, runtime.GOOS, runtime.GOARCH))
	if path := complete(dir, r); path != "" {
		return path, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", fmt.Errorf("making the cache's folder: %w", err)
	}
	run := &runner{ctx: ctx, label: r.name + " " + r.version, progress: c.progress, start: time.Now()}
	unlock, err := lock(ctx, dir+".lock", func() { run.say("waiting for another process that fetches it") })
	if err != nil {
		return "", err
	}
	defer unlock()
	if path := complete(dir, r); path != "" { // by the process that held the lock
		return path, nil
	}
	run.say("fetching into %s, once: %s", dir, cmp.Or(r.usual, "a while"))
	path, err := fill(run, r, dir)
	if err != nil {
		return "", err
	}
	run.say("done")
	return path, nil
}

// fill makes the part in dir and marks it complete. The caller holds the lock.
func fill(run *runner, r recipe, dir string) (string, error) {
	if err := os.RemoveAll(dir); err != nil {
		return "", fmt.Errorf("clearing an unfinished fetch: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("making the part's folder: %w", err)
	}
	err := r.fetch(run, dir)
	if err == nil {
		if _, found := locate(dir, r); !found {
			err = fmt.Errorf("the fetch brought no %s", r.binary)
		}
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, markerFile), []byte(r.mark()), 0o644)
	}
	if err != nil {
		// Without its marker the folder is never used; removing it is for tidiness.
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	path, _ := locate(dir, r)
	return path, nil
}

// complete returns the program's path if dir holds a finished fetch of exactly this
// recipe, else "". A venv whose Python is gone (the system's was replaced) is not one.
func complete(dir string, r recipe) string {
	mark, err := os.ReadFile(filepath.Join(dir, markerFile))
	if err != nil || string(mark) != r.mark() {
		return ""
	}
	if r.stamp != "" {
		if _, err := os.Stat(filepath.Join(dir, "bin", "python")); err != nil {
			return ""
		}
	}
	path, _ := locate(dir, r)
	return path
}

func locate(dir string, r recipe) (path string, found bool) {
	matches, err := filepath.Glob(filepath.Join(dir, r.binary))
	if err != nil || len(matches) != 1 {
		return "", false
	}
	return matches[0], true
}

// mark is what the marker file of a finished fetch holds.
func (r recipe) mark() string {
	sum := sha256.Sum256([]byte(r.stamp))
	return r.version + " " + hex.EncodeToString(sum[:8]) + "\n"
}
