package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/lambdamesh/lambdamesh/internal/parts"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// walkthrough is a page of docs/ whose commands a story runs: what stands in its blocks of
// shell (```sh), as its reader would, one section after the other.
type walkthrough struct {
	*story
	page *testmesh.Page
	dir  string // where its commands run
	env  []string
}

// walkthrough reads one. Its commands find consul, envoy and lambdamesh on their PATH, and in
// their environment what connects them to the mesh. Pairs of replaced are old and new
// texts, for what a test cannot choose: ports.
func (s *story) walkthrough(name string, replaced ...string) *walkthrough {
	s.t.Helper()
	page, err := testmesh.ReadPage(name, replaced...)
	s.must(err)
	w := &walkthrough{story: s, page: page, dir: s.t.TempDir()}
	bin := s.t.TempDir()
	lambdamesh, err := testmesh.BuildLambdamesh(s.ctx)
	s.must(err)
	for name, file := range map[string]string{
		"lambdamesh": lambdamesh,
		"consul":     testmesh.Bin(s.t, (*parts.Cache).Consul).Path,
		"envoy":      testmesh.Bin(s.t, (*parts.Cache).Envoy).Path,
	} {
		s.must(os.Symlink(file, filepath.Join(bin, name)))
	}
	w.env = append(testmesh.Environ(w.dir), s.LambdameshEnviron()...)
	w.env = append(w.env, "PATH="+bin+":"+os.Getenv("PATH")) // the last one counts
	return w
}

// follow runs a section's commands to their end and returns what they print. The first that
// fails ends the test.
func (w *walkthrough) follow(section string) string {
	w.t.Helper()
	out, err := w.page.Follow(w.ctx, section, w.dir, w.env)
	w.must(err)
	return out
}

// start runs a section's commands, the last of which is a server, until the end of the
// test. Name is for its log.
func (w *walkthrough) start(name, section string) *testmesh.Process {
	w.t.Helper()
	script, err := w.page.Script(section)
	w.must(err)
	process, err := testmesh.StartProcess(testmesh.Command{
		Name: name, Path: "/bin/bash", Args: []string{"-c", script}, Env: w.env, Dir: w.Dir(),
	})
	w.must(err)
	t := w.t
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("last lines of %s:\n%s", name, process.Tail(40))
		}
		if err := process.Stop(); err != nil {
			t.Error(fmt.Errorf("%s: %w", name, err))
		}
	})
	return process
}

// client of pages: each call is on a connection of its own, so that none is left.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// fetched is what curl does with a URL of the page.
func fetched(ctx context.Context, url string) (status int, body string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

// shows waits until a URL answers with a status and these words.
func (w *walkthrough) shows(url string, status int, says string) {
	w.t.Helper()
	w.must(testmesh.Poll(w.ctx, func(ctx context.Context) error {
		got, body, err := fetched(ctx, url)
		if err == nil && (got != status || !strings.Contains(body, says)) {
			err = fmt.Errorf("%s: %d %.200s", url, got, body)
		}
		return err
	}))
}
