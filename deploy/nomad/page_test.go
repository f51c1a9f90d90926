//go:build extra

package nomad

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// TestPage does what docs/install-nomad.md says, with its commands. Docker, the driver of
// its jobs, is not there: that is all that keeps the first from being placed. Without
// containers they run, with the tokens that Nomad gets for them.
func TestPage(t *testing.T) {
	in := beginPage(t)
	in.follow("The token")
	_, err := in.page.Follow(testmesh.Context(t), "The job", in.dir, in.env)
	if err == nil || !strings.Contains(err.Error(), `Constraint "missing drivers": 1 nodes excluded`) || strings.Count(err.Error(), "Constraint ") != 1 {
		t.Fatalf("the job is not kept from being placed by its driver alone: %v", err)
	}
	in.lambdamesh()
	in.until("lambdamesh is healthy in Consul", func() bool {
		healthy, _, err := in.Consul.API().Health().Service("lambdamesh", "", true, nil)
		return err == nil && len(healthy) == 1
	})
	in.until("the function is a service", func() bool {
		services, _, err := in.Consul.API().Catalog().Service("hello", "", nil)
		return err == nil && len(services) == 1
	})

	t.Run("a gateway", in.callsByGateway)

	in.must("nomad", "job", "stop", "-detach", "lambdamesh")
	in.until("it ended by itself", func() bool { return in.ended("lambdamesh") })
	if services, _, err := in.Consul.API().Catalog().Service("lambdamesh", "", nil); err != nil || len(services) != 0 {
		t.Errorf("stopped it is still in Consul: %v, %v", services, err)
	}
}

// installation is a Nomad and a folder with the files that the page speaks of.
type installation struct {
	*agent
	t    *testing.T
	page *testmesh.Page
	dir  string
	xds  int // where lambdamesh serves Envoys
}

func beginPage(t *testing.T) *installation {
	t.Helper()
	in := &installation{agent: startAgent(t), t: t, dir: t.TempDir()}
	root, err := testmesh.SourceRoot()
	in.check(err)
	in.check(os.Symlink(filepath.Join(root, "deploy"), filepath.Join(in.dir, "deploy")))
	for name, section := range map[string]string{"install.md": "ACL policies", "registrator.md": "Consul's ACL policy"} {
		policies, err := testmesh.ReadPage(name)
		in.check(err)
		_, err = policies.WriteFiles(section, "hcl", in.dir)
		in.check(err)
	}
	// "run" would wait for Docker.
	in.page, err = testmesh.ReadPage("install-nomad.md", "nomad job run gateway.nomad.hcl", "nomad job validate gateway.nomad.hcl")
	in.check(err)
	hello, err := testmesh.FunctionFile("hello.py")
	in.check(err)
	_, err = in.AWS.CreateFunction(testmesh.Context(t), testmesh.Function{Name: "hello", File: hello, Tags: testmesh.EnabledTags()})
	in.check(err)
	return in
}

func (in *installation) check(err error) {
	in.t.Helper()
	if err != nil {
		in.t.Fatal(err)
	}
}

func (in *installation) must(program string, args ...string) string {
	in.t.Helper()
	out, err := in.run(testmesh.Context(in.t), program, args...)
	in.check(err)
	return out
}

func (in *installation) follow(section string) {
	in.t.Helper()
	_, err := in.page.Follow(testmesh.Context(in.t), section, in.dir, in.env)
	in.check(err)
}

// until waits until something holds.
func (in *installation) until(what string, holds func() bool) {
	in.t.Helper()
	in.check(testmesh.Poll(testmesh.Context(in.t), func(context.Context) error {
		if !holds() {
			return errors.New("it does not hold that " + what)
		}
		return nil
	}))
}

// lambdamesh runs the page's job with all of Docker's left out, and with ports and
// addresses that are free here.
func (in *installation) lambdamesh() {
	in.t.Helper()
	whole, group := in.parsed("deploy/nomad/lambdamesh.nomad.hcl")
	ports := testmesh.TestPorts(in.t)
	for _, reserved := range group["Networks"].([]any)[0].(object)["ReservedPorts"].([]any) {
		var port int
		in.check(ports.Fill(&port))
		reserved.(object)["Value"] = port
		if reserved.(object)["Label"] == "xds" {
			in.xds = port
		}
	}
	program, err := testmesh.BuildLambdamesh(in.t.Context())
	in.check(err)
	task := group["Tasks"].([]any)[0].(object)
	args := task["Config"].(object)["args"].([]any)
	addresses := strings.NewReplacer("127.0.0.1:8500", in.Consul.HTTPAddr(), "127.0.0.1:8502", in.Consul.GRPCAddr())
	for i := range args {
		args[i] = addresses.Replace(args[i].(string))
	}
	args = append(args, "--lambda-endpoint-url", in.AWS.Invoke.URL(), "--lambda-ca-file", in.AWS.CAFile())
	task["Driver"], task["User"], task["Env"] = "raw_exec", "", in.credentials()
	task["Config"] = object{"command": program, "args": args}
	in.runJob(whole)
}

// credentials are AWS's, as an environment.
func (in *installation) credentials() object {
	env := object{}
	for _, variable := range in.AWS.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		env[name] = value
	}
	return env
}

// object is one of JSON's.
type object = map[string]any

// parsed is a job, and its one group in it.
func (in *installation) parsed(file string) (whole, group object) {
	in.t.Helper()
	out := in.must("nomad", "job", "run", "-output", filepath.Join(in.dir, file))
	in.check(json.Unmarshal([]byte(out), &whole))
	return whole, whole["Job"].(object)["TaskGroups"].([]any)[0].(object)
}

func (in *installation) runJob(whole object) {
	in.t.Helper()
	text, err := json.Marshal(whole)
	in.check(err)
	file := filepath.Join(in.dir, "job.json")
	in.check(os.WriteFile(file, text, 0o600))
	in.must("nomad", "job", "run", "-detach", "-json", file)
}

// exitCode is what Nomad says of a task that ended.
var exitCode = regexp.MustCompile(`Exit Code: (\d+)`)

// ended says whether a job's one task, of the job's name, has ended, and fails the test
// unless that was by itself and with 0.
func (in *installation) ended(job string) bool {
	in.t.Helper()
	var allocations []struct {
		TaskStates map[string]struct {
			State  string
			Events []struct{ DisplayMessage string }
		}
	}
	in.check(json.Unmarshal([]byte(in.must("nomad", "job", "allocs", "-json", job)), &allocations))
	if len(allocations) != 1 || allocations[0].TaskStates[job].State != "dead" {
		return false
	}
	for _, event := range allocations[0].TaskStates[job].Events {
		if match := exitCode.FindStringSubmatch(event.DisplayMessage); match != nil {
			if match[1] != "0" {
				in.t.Errorf("it ended with %s", match[1])
			}
			return true
		}
	}
	return false
}
