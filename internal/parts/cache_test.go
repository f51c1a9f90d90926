package parts

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// fake is a part that is "fetched" by writing a shell script that tells its version.
func fake(fetched *atomic.Int64) recipe {
	return recipe{
		name: "fakepart", version: "1.2.3", override: "FAKEPART_BIN", binary: "bin/fake*", usual: "an instant",
		versionArgs: []string{"version"}, versionWant: "v1.2.3\n",
		fetch: func(_ *runner, dir string) error {
			fetched.Add(1)
			return program(filepath.Join(dir, "bin", "fakepart"), "1.2.3")
		},
	}
}

func program(path, version string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte("#!/bin/sh\necho v"+version+"\n"), 0o755)
}

// open makes a cache below a fresh folder; its progress goes into the returned text.
func open(t *testing.T) (*Cache, *strings.Builder) {
	t.Helper()
	var progress strings.Builder
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	c, err := Open(&progress)
	if err != nil {
		t.Fatal(err)
	}
	return c, &progress
}

func TestFetchedOnce(t *testing.T) {
	c, progress := open(t)
	var fetched atomic.Int64
	first, err := c.get(t.Context(), fake(&fetched))
	if err != nil {
		t.Fatal(err)
	}
	if first.Origin != "cache" || first.Version != "1.2.3" || !strings.HasPrefix(first.Path, c.Dir()) {
		t.Errorf("got %+v", first)
	}
	for _, want := range []string{"fakepart 1.2.3: fetching", "an instant", "done [0s]"} {
		if !strings.Contains(progress.String(), want) {
			t.Errorf("the progress lacks %q:\n%s", want, progress)
		}
	}
	second, err := c.get(t.Context(), fake(&fetched))
	if err != nil || second != first || fetched.Load() != 1 {
		t.Errorf("the second time: %+v, error %v, fetched %d times", second, err, fetched.Load())
	}
}

// TestFetchedOnceByMany: a lock is per open file, so goroutines stand for processes.
func TestFetchedOnceByMany(t *testing.T) {
	c, _ := open(t)
	c.progress = discard{}
	var fetched atomic.Int64
	r := fake(&fetched)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := c.get(t.Context(), r); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if fetched.Load() != 1 {
		t.Errorf("fetched %d times", fetched.Load())
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

func TestUnfinishedFetchIsNoFetch(t *testing.T) {
	c, _ := open(t)
	var fetched atomic.Int64
	r := fake(&fetched)
	broken := r
	broken.fetch = func(_ *runner, dir string) error {
		return errors.Join(program(filepath.Join(dir, "bin", "fakepart"), "half"), errors.New("interrupted"))
	}
	if _, err := c.get(t.Context(), broken); err == nil || !strings.Contains(err.Error(), "fetching fakepart 1.2.3: interrupted") {
		t.Errorf("a broken fetch returned %v", err)
	}
	// What a killed process leaves: the program without the marker.
	dirs, err := filepath.Glob(filepath.Join(c.Dir(), "fakepart", "1.2.3-*.lock"))
	if err != nil || len(dirs) != 1 {
		t.Fatalf("the lock files are %v, error %v", dirs, err)
	}
	dir := strings.TrimSuffix(dirs[0], ".lock")
	if err := program(filepath.Join(dir, "bin", "fake-half"), "half"); err != nil {
		t.Fatal(err)
	}
	p, err := c.get(t.Context(), r)
	if err != nil || filepath.Base(p.Path) != "fakepart" || fetched.Load() != 1 {
		t.Errorf("got %+v, error %v, fetched %d times", p, err, fetched.Load())
	}
	// Another content under the same version is another fetch.
	changed := r
	changed.stamp = "other requirements"
	changed.fetch = func(run *runner, dir string) error {
		return errors.Join(r.fetch(run, dir), program(filepath.Join(dir, "bin", "python"), "3"))
	}
	if _, err := c.get(t.Context(), changed); err != nil || fetched.Load() != 2 {
		t.Errorf("with a changed stamp: error %v, fetched %d times", err, fetched.Load())
	}
	// A venv whose Python went away is made again.
	if err := os.Remove(filepath.Join(dir, "bin", "python")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.get(t.Context(), changed); err != nil || fetched.Load() != 3 {
		t.Errorf("without its Python: error %v, fetched %d times", err, fetched.Load())
	}
}

func TestEmptyFetchFails(t *testing.T) {
	c, _ := open(t)
	r := fake(new(atomic.Int64))
	r.fetch = func(*runner, string) error { return nil }
	if _, err := c.get(t.Context(), r); err == nil || !strings.Contains(err.Error(), "brought no bin/fake*") {
		t.Errorf("a fetch that brings nothing returned %v", err)
	}
}

func TestPathOnlyIfExactlyPinned(t *testing.T) {
	c, _ := open(t)
	var fetched atomic.Int64
	dir := t.TempDir()
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	for _, test := range []struct{ version, origin string }{
		{"1.2.30", "cache"},
		{"1.2.3-beta", "cache"},
		{"1.2.3", "PATH"},
	} {
		if err := program(filepath.Join(dir, "fakepart"), test.version); err != nil {
			t.Fatal(err)
		}
		p, err := c.get(t.Context(), fake(&fetched))
		if err != nil || p.Origin != test.origin {
			t.Errorf("with %s on PATH: %+v, error %v; want it from %s", test.version, p, err, test.origin)
		}
	}
}

func TestOverride(t *testing.T) {
	c, _ := open(t)
	file := filepath.Join(t.TempDir(), "mine")
	t.Setenv("FAKEPART_BIN", file)
	if _, err := c.get(t.Context(), fake(new(atomic.Int64))); err == nil || !strings.Contains(err.Error(), "FAKEPART_BIN") {
		t.Errorf("an override that is not there returned %v", err)
	}
	if err := program(file, "9"); err != nil {
		t.Fatal(err)
	}
	p, err := c.get(t.Context(), fake(new(atomic.Int64)))
	if want := (Part{Name: "fakepart", Path: file, Origin: "FAKEPART_BIN"}); err != nil || p != want {
		t.Errorf("got %+v, error %v, want %+v", p, err, want)
	}
}

func TestFailedCommandShowsItsLastLines(t *testing.T) {
	c, progress := open(t)
	r := fake(new(atomic.Int64))
	r.fetch = func(run *runner, dir string) error {
		return run.run("building", dir, []string{"WORD=secondlast"}, "sh", "-c", "seq 100; echo $WORD; echo the reason >&2; exit 7")
	}
	_, err := c.get(t.Context(), r)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"building: running sh: exit status 7", "\n  secondlast\n  the reason"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "\n  50\n") {
		t.Errorf("the error holds more than the last lines: %v", err)
	}
	if !strings.Contains(progress.String(), "fakepart 1.2.3: building [0s]") {
		t.Errorf("the progress does not name the step:\n%s", progress)
	}
}

func TestContextEndsAFetch(t *testing.T) {
	c, _ := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	r := fake(new(atomic.Int64))
	r.fetch = func(run *runner, dir string) error {
		cancel()
		return run.run("building", dir, nil, "sh", "-c", "sleep 1000 & wait")
	}
	if _, err := c.get(ctx, r); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
}

func TestCacheFolder(t *testing.T) {
	for _, test := range []struct{ xdg, home, want string }{
		{"/x", "/h", "/x/lambdamesh"},
		{"", "/h", "/h/.cache/lambdamesh"},
		{"relative", "/h", "/h/.cache/lambdamesh"},
	} {
		t.Setenv("XDG_CACHE_HOME", test.xdg)
		t.Setenv("HOME", test.home)
		c, err := Open(nil)
		if err != nil || c.Dir() != test.want {
			t.Errorf("with %+v: %v, error %v", test, c, err)
		}
	}
}

// TestOlderEnvoys: who names a file for Envoy means the pinned one.
func TestOlderEnvoys(t *testing.T) {
	file := filepath.Join(t.TempDir(), "envoy")
	if err := program(file, EnvoyVersion); err != nil {
		t.Fatal(err)
	}
	t.Setenv("ENVOY_BIN", file)
	t.Setenv("PATH", "")
	c, _ := open(t)
	if p, err := c.EnvoyOf(t.Context(), EnvoyVersion); err != nil || p.Path != file {
		t.Errorf("the pinned one is %+v, error %v", p, err)
	}
	for _, version := range OlderEnvoys {
		// Without a PATH nothing can be installed.
		if p, err := c.EnvoyOf(t.Context(), version); err == nil || !strings.Contains(err.Error(), "fetching envoy "+version) {
			t.Errorf("%s is %+v, error %v", version, p, err)
		}
	}
}
