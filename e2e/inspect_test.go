package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"go.yaml.in/yaml/v3"

	"github.com/lambdamesh/lambdamesh/internal/parts"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// TestInspect: a person who runs the command learns what leads from a function to each
// Envoy, and where it ends.
func TestInspect(t *testing.T) {
	t.Parallel()
	i := beginInspecting(t)
	i.run("all", i.all)
	i.run("one, behind a gateway", i.fronted)
	i.run("one that Envoys invoke, refuse, or cannot have", i.direct)
	i.run("one with a mistake", i.mistaken)
	i.run("resources", i.resources)
	i.run("without credentials", i.without)
	i.run("of Consul alone", i.alone)
	i.run("what there is not", i.unknown)
}

// inspecting is a mesh with something to tell. hello is behind a gateway. near is invoked
// by web and by older; boaster, of the same old version, says that it is a newer one, and
// refuses near, since it knows no retry policy of a cluster. Older cannot have roled. Web
// may not call closed. tcp and late have mistakes in their entries.
type inspecting struct {
	*story
	web, older, boaster *testmesh.Sidecar
	hello, near         string // ARNs
}

func beginInspecting(t *testing.T) *inspecting {
	old := parts.OlderEnvoys[0]
	testmesh.Bin(t, func(c *parts.Cache, ctx context.Context) (parts.Part, error) { return c.EnvoyOf(ctx, old) })
	i := &inspecting{story: begin(t, testmesh.MeshConfig{LambdameshArgs: []string{"--allow-roles", "*"}})}
	i.hello = i.function("hello", "hello", testmesh.EnabledTags("timeout", "20"))
	i.near = i.function("near", "hello", testmesh.EnabledTags("invocation-mode", "ASYNCHRONOUS"))
	i.byHand("closed", meta(i.hello))
	i.byHand("late", meta(i.hello, "retries", "many"))
	i.byHand("roled", meta(i.hello, "role-arn", "arn:aws:iam::123456789012:role/invoker"))
	i.must(i.Consul.RegisterLambda(i.ctx, "tcp"))
	tcp := testmesh.LambdaDefaults("tcp", meta(i.hello))
	tcp.Protocol = "tcp"
	i.must(i.Consul.SetEntry(i.ctx, tcp))
	i.allow("web", "hello", "near", "tcp", "late")
	i.allow("older", "near", "roled")
	i.allow("boaster", "near")
	i.gateway("gateway", "hello")
	i.web = i.sidecar("web", "hello", "near", "closed", "tcp", "late")
	var err error
	i.older, err = i.AddSidecar(i.ctx, "older", []string{"near", "roled"}, testmesh.ProxyOptions{EnvoyVersion: old})
	i.must(err)
	i.healthy(i.older.Envoy)
	boast := i.claimed(&typev3.SemanticVersion{MajorNumber: 1, MinorNumber: 40}, i.wire.Addr())
	i.boaster, err = i.AddSidecar(i.ctx, "boaster", []string{"near"}, testmesh.ProxyOptions{EnvoyVersion: old, XDSAddr: boast})
	i.must(err)
	i.until(i.web, "hello", i.hello)
	i.has(i.web, "near", "cluster direct")
	i.has(i.older, "near", "cluster direct")
	i.must(testmesh.Poll(i.ctx, func(context.Context) error {
		state := i.state()
		web, older := state.proxy(i.web.ProxyID), state.proxy(i.older.ProxyID)
		if len(state.proxy(i.boaster.ProxyID).Rejected) == 0 || web.unpatched("tcp") == "" || web.unpatched("late") == "" ||
			web.reason("closed") == "" || older.reason("roled") == "" {
			return fmt.Errorf("the state is %+v", state)
		}
		return nil
	}))
	return i
}

// running is what the command says of a running lambdamesh, and alone of Consul alone.
func (i *inspecting) running(args ...string) string {
	i.t.Helper()
	said, err := i.Lambdamesh.Run(i.ctx, append([]string{"inspect", "--admin-addr", i.Lambdamesh.AdminAddr()}, args...)...)
	i.must(err)
	return said
}

func (i *inspecting) apart(args ...string) (string, error) {
	return i.Lambdamesh.Run(i.ctx, append([]string{"inspect", "--admin-addr", "127.0.0.1:1"}, args...)...)
}

// tells checks that lines begin and go on so: a word, spaces, and a pattern.
func (i *inspecting) tells(said string, lines ...[2]string) {
	i.t.Helper()
	for _, line := range lines {
		if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(line[0]) + ` +` + line[1]).MatchString(said) {
			i.t.Errorf("no line %q in:\n%s", line, said)
		}
	}
}

func (i *inspecting) all(*testing.T) {
	i.tells(i.running(),
		[2]string{"hello", `ok +terminating gateway +synchronous +1 +` + i.hello},
		[2]string{"near", `ok +callers themselves +asynchronous +2 of 3 +` + i.near},
		[2]string{"tcp", `error +0 of 1 +` + i.hello},
		[2]string{"late", `error +0 of 1 +` + i.hello},
	)
}

func (i *inspecting) fronted(t *testing.T) {
	said := i.running("Hello")
	i.tells(said,
		[2]string{"Function", i.hello}, [2]string{"  tag enabled", "true"}, [2]string{"  tag timeout", "20"},
		[2]string{"State", "ok: invoked"}, [2]string{"  kept by", "a registrator"}, [2]string{"  Meta arn", i.hello}, [2]string{"  Meta timeout", "20"},
		[2]string{"Invoked by", "terminating gateway"}, [2]string{"Patch", `calls go to localhost:\d+, by header_mutation, aws_lambda, lua, upstream_codec`},
		[2]string{"Envoy gateway", `terminating-gateway, Envoy ` + parts.EnvoyVersion + `, gateway, cluster`},
	)
	if strings.Contains(said, "Envoy web") {
		t.Errorf("who calls the gateway is told of:\n%s", said)
	}
	var asJSON struct {
		Services []serviceState
		Proxies  []proxyState
		Tags     struct{ Values map[string]string }
		Entry    struct {
			Meta    map[string]string
			Managed bool
		}
	}
	i.must(json.Unmarshal([]byte(i.running("hello", "-o", "json")), &asJSON))
	if len(asJSON.Services) != 1 || len(asJSON.Proxies) != 1 || asJSON.Tags.Values[testmesh.MetaPrefix+"timeout"] != "20" ||
		asJSON.Entry.Meta[testmesh.MetaPrefix+"arn"] != i.hello || !asJSON.Entry.Managed {
		t.Errorf("%+v", asJSON)
	}
}

func (i *inspecting) direct(*testing.T) {
	i.tells(i.running("near"),
		[2]string{"Mode", "asynchronous"},
		[2]string{"Envoy " + i.web.ProxyID, `connect-proxy, Envoy ` + parts.EnvoyVersion + `, direct, cluster`},
		[2]string{"Envoy " + i.older.ProxyID, `connect-proxy, Envoy ` + parts.OlderEnvoys[0] + `, direct, cluster`},
		[2]string{"Envoy " + i.boaster.ProxyID, `connect-proxy, Envoy 1\.40\.0, direct, refused: envoy refused its form`},
		[2]string{"  it refused", `near\.default\.dc1\..*HttpProtocolOptions.*has unknown fields`},
	)
	i.tells(i.running("roled"), [2]string{"Envoy " + i.older.ProxyID, `connect-proxy, .*, direct, no endpoints: it cannot be invoked: role-arn needs Envoy 1\.39`})
	i.tells(i.running("closed"), [2]string{"Envoy " + i.web.ProxyID, `connect-proxy, .*, direct, no endpoints: Consul's intentions do not let`})
}

func (i *inspecting) mistaken(*testing.T) {
	i.tells(i.running("tcp"),
		[2]string{"Mistake", `tcp: Protocol is "tcp" by service-defaults`}, [2]string{"  to mend it", `write Protocol = "http" into service-defaults tcp`},
		[2]string{"Envoy " + i.web.ProxyID, `connect-proxy, .*, not invoked: its state is error: tcp: Protocol is "tcp"`},
	)
	i.tells(i.running("late"),
		[2]string{"  Meta retries", "many"}, [2]string{"Mistake", `late: .*retries = "many": not a whole number`},
		[2]string{"  to mend it", `correct retries \(0 to 10\) in the Meta of service-defaults late`},
	)
}

// shownResource is a document of -o yaml.
type shownResource struct {
	Proxies []string
	Kind    string
	Type    string
	Name    string
	Note    string
	Before  map[string]any
	After   map[string]any
}

// documents reads what -o yaml says, in which there must be no secret.
func (i *inspecting) documents(said string) []shownResource {
	i.t.Helper()
	if strings.Contains(said, "-----BEGIN") {
		i.t.Errorf("there is PEM in:\n%s", said)
	}
	var all []shownResource
	decoder := yaml.NewDecoder(strings.NewReader(said))
	for {
		var one shownResource
		if err := decoder.Decode(&one); err != nil {
			break
		}
		all = append(all, one)
	}
	if len(all) == 0 {
		i.t.Fatalf("no documents in:\n%s", said)
	}
	return all
}

func (i *inspecting) resources(t *testing.T) {
	clusters := map[string]shownResource{} // by the first proxy
	for _, service := range []string{"hello", "near"} {
		for _, one := range i.documents(i.running(service, "-o", "yaml")) {
			if one.Type == "cluster" {
				clusters[service+" of "+one.Proxies[0]] = one
			}
		}
	}
	fronted := clusters["hello of gateway"]
	if fronted.Before["type"] != "LOGICAL_DNS" || !strings.Contains(fmt.Sprint(fronted.After), i.hello) {
		t.Errorf("the gateway's: %+v", fronted)
	}
	near := clusters["near of "+i.web.ProxyID]
	if near.Before["type"] != "EDS" || !strings.Contains(fmt.Sprint(near.After), i.near) {
		t.Errorf("the sidecar's: %+v", near)
	}
	if before := fmt.Sprint(near.Before); !strings.Contains(before, "privateKey:map[inlineString:[redacted]]") {
		t.Errorf("where is its key? %s", before)
	}
	if refused := clusters["near of "+i.boaster.ProxyID]; refused.Before["type"] != "EDS" || refused.After != nil {
		t.Errorf("what refuses it has Consul's: %+v", refused)
	}
}

func (i *inspecting) without(*testing.T) {
	bin, err := testmesh.BuildLambdamesh(i.ctx)
	i.must(err)
	cmd := exec.CommandContext(i.ctx, bin, "inspect", "hello", "--admin-addr", i.Lambdamesh.AdminAddr())
	cmd.Env = []string{"HOME=" + i.t.TempDir(), "PATH=" + os.Getenv("PATH"), "AWS_EC2_METADATA_DISABLED=true", "CONSUL_HTTP_ADDR=" + i.Consul.HTTPAddr()}
	said, err := cmd.Output()
	i.must(err)
	i.tells(string(said),
		[2]string{"  tags", "not read: no AWS credentials are found"}, [2]string{"  Meta", "not read: Consul's token may not read"},
		[2]string{"  timeout", "20"}, [2]string{"Envoy gateway", "terminating-gateway"},
	)
}

func (i *inspecting) alone(t *testing.T) {
	said, err := i.apart()
	i.must(err)
	i.tells(said, [2]string{"near", `ok +callers themselves +asynchronous +0 +` + i.near})
	said, err = i.apart("near")
	i.must(err)
	i.tells(said,
		[2]string{"  tag invocation-mode", "ASYNCHRONOUS"}, [2]string{"  Meta invocation-mode", "ASYNCHRONOUS"},
		[2]string{"Patch", `calls go to lambda\.us-east-1\.amazonaws\.com:443, by .*aws_lambda`},
	)
	said, err = i.apart("near", "-o", "yaml")
	i.must(err)
	if all := i.documents(said); len(all) != 1 || !strings.HasPrefix(all[0].Note, "no Envoy's: made of the entry") || all[0].Before != nil ||
		!strings.Contains(fmt.Sprint(all[0].After), i.near) || !strings.HasPrefix(all[0].Name, "near.default.dc1.internal.") {
		t.Errorf("%+v", all)
	}
	said, err = i.apart("tcp", "-o", "yaml")
	i.must(err)
	if all := i.documents(said); len(all) != 1 || !strings.Contains(all[0].Note, `without endpoints, for its state is error: tcp: Protocol is "tcp"`) {
		t.Errorf("%+v", all)
	}
}

func (i *inspecting) unknown(t *testing.T) {
	for _, args := range [][]string{{"helo", "--admin-addr", i.Lambdamesh.AdminAddr()}, {"helo", "-o", "yaml", "--admin-addr", "127.0.0.1:1"}} {
		_, err := i.Lambdamesh.Run(i.ctx, append([]string{"inspect"}, args...)...)
		if err == nil || !strings.Contains(err.Error(), "exit status 1") || !strings.Contains(err.Error(), "helo is no Lambda service: there is no service-defaults entry of this name") ||
			!strings.Contains(err.Error(), "is hello meant?") {
			t.Errorf("%v: %v", args, err)
		}
	}
	for _, args := range [][]string{{"hello", "-o", "xml"}, {"-o", "yaml"}} {
		if _, err := i.apart(args...); err == nil || !strings.Contains(err.Error(), "exit status 2") {
			t.Errorf("%v: %v", args, err)
		}
	}
}
