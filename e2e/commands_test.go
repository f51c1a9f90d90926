package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// TestRegistratorAlone: `lambdamesh registrator`, a process of its own beside a server
// that has none, brings functions into the mesh and out of it, and ends when it is told to.
// `lambdamesh sync` finds nothing to do after it. The commands that need no mesh answer.
func TestRegistratorAlone(t *testing.T) {
	t.Parallel()
	s := begin(t, testmesh.MeshConfig{NoRegistrator: true})
	s.allow("web", "hello")
	s.gateway("gateway", "*")
	web := s.sidecar("web", "hello")
	bin, err := testmesh.BuildLambdamesh(s.ctx)
	s.must(err)
	registrator, err := testmesh.StartProcess(testmesh.Command{
		Name: "registrator", Path: bin, Dir: s.Dir(), Env: append(testmesh.Environ(s.Dir()), s.LambdameshEnviron()...),
		Args: []string{"registrator", "--sync-interval", "1s"},
	})
	s.must(err)
	t.Cleanup(registrator.Kill)

	hello := s.function("hello", "hello", testmesh.EnabledTags())
	s.until(web, "hello", hello)
	s.settled()
	s.page("/registrator", "No registrator here")
	s.must(s.AWS.Untag(s.ctx, hello, testmesh.MetaPrefix+"enabled"))
	s.unreachable(web, "hello")
	s.must(registrator.Stop())
	s.must(registrator.Err())

	file := filepath.Join(s.Dir(), "config.yaml")
	for _, c := range []struct {
		config string // the file that --config names
		args   []string
		says   string // on stdout, or as the one line that it fails with
		fails  string // the exit status; empty: it does not
	}{
		{"", []string{"version"}, "lambdamesh ", ""},
		{"", []string{"help"}, "Available Commands:", ""},
		{"", []string{"help", "sync"}, "--dry-run", ""},
		{"", []string{"completion", "bash"}, "__start_lambdamesh", ""},
		{"", []string{"__complete", "ins"}, "inspect\t", ""},
		{"sync-interval: 2m\nregions: [us-east-1]\n", []string{"config", "check", "--config", file}, "2 settings", ""},
		{"sync-intervall: 2m\n", []string{"config", "check", "--config", file}, "sync-intervall", "exit status 2"},
		{"", []string{"inspcet"}, `unknown command "inspcet"`, "exit status 2"},
	} {
		s.must(os.WriteFile(file, []byte(c.config), 0o600))
		said, err := s.Lambdamesh.Run(s.ctx, c.args...)
		if err != nil {
			said += err.Error()
		}
		if !strings.Contains(said, c.says) || (err == nil) != (c.fails == "") || !strings.Contains(said, c.fails) {
			t.Errorf("%v: %v %s", c.args, err, said)
		}
	}
	s.signed()
}
