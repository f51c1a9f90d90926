package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/lambdamesh/lambdamesh/internal/parts"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// walkthrough is a page of docs/ whose commands a story runs: what stands in its blocks of
// shell (```sh), as its reader would, one section after the other.
type walkthrough struct {
	*story
	sections map[string]string // by title
	replaced *strings.Replacer
	dir      string // where its commands run
	env      []string
}

var shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")

// walkthrough reads one. Its commands find consul, envoy and lambdamesh on their PATH, and in
// their environment what connects them to the mesh. Pairs of replaced are old and new
// texts, for what a test cannot choose: ports.
func (s *story) walkthrough(name string, replaced ...string) *walkthrough {
	s.t.Helper()
	w := &walkthrough{story: s, sections: map[string]string{}, replaced: strings.NewReplacer(replaced...), dir: s.t.TempDir()}
	root, err := testmesh.SourceRoot()
	s.must(err)
	text, err := os.ReadFile(filepath.Join(root, "docs", name))
	s.must(err)
	for _, part := range heading.Split(string(text), -1) {
		title, body, _ := strings.Cut(part, "\n")
		w.sections[title] = body
	}
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

// script is all of a section's shell.
func (w *walkthrough) script(section string) string {
	w.t.Helper()
	var b strings.Builder
	for _, block := range shellBlock.FindAllStringSubmatch(w.sections[section], -1) {
		b.WriteString(block[1])
	}
	if b.Len() == 0 {
		w.t.Fatalf("the page shows no command under %q", section)
	}
	return "set -euo pipefail\n" + w.replaced.Replace(b.String())
}

// follow runs a section's commands to their end and returns what they print. The first that
// fails ends the test.
func (w *walkthrough) follow(section string) string {
	w.t.Helper()
	cmd := exec.CommandContext(w.ctx, "bash", "-c", w.script(section))
	cmd.Env, cmd.Dir = w.env, w.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.t.Fatalf("the commands under %q: %v\n%s", section, err, out)
	}
	return string(out)
}

// start runs a section's commands, the last of which is a server, until the end of the
// test. Name is for its log.
func (w *walkthrough) start(name, section string) *testmesh.Process {
	w.t.Helper()
	process, err := testmesh.StartProcess(testmesh.Command{
		Name: name, Path: "/bin/bash", Args: []string{"-c", w.script(section)}, Env: w.env, Dir: w.Dir(),
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
