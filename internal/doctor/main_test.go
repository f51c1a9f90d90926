package doctor

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/lambdamesh/lambdamesh/internal/parts"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// secured is a real Consul with ACLs on, default deny, that has TLS besides plain text on
// both of its APIs; for all tests here.
var secured struct {
	*testmesh.Consul
	authority *testmesh.Authority // of its certificate, which is for "server.dc1.consul", localhost and loopback
	other     *testmesh.Authority // of nothing
	https     string              // host:port
	grpcs     string
}

func TestMain(m *testing.M) {
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		for _, prefix := range []string{"CONSUL_", "AWS_"} {
			if strings.HasPrefix(name, prefix) && name != "CONSUL_BIN" {
				_ = os.Unsetenv(name)
			}
		}
	}
	code, err := withConsul(m.Run)
	if err == nil && code == 0 {
		err = goleak.Find()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func withConsul(run func() int) (code int, err error) {
	// Building Consul, where it is not there yet, takes minutes.
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	cache, err := parts.Open(os.Stderr)
	if err != nil {
		return 0, err
	}
	bin, err := cache.Consul(ctx)
	if err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp("", "lambdamesh-doctor-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	ports := testmesh.NewPorts()
	defer ports.Close()
	config, err := securedConfig(dir, ports)
	if err != nil {
		return 0, err
	}
	if secured.Consul, err = testmesh.StartConsul(ctx, testmesh.ConsulConfig{Bin: bin, Dir: dir, Ports: ports, Config: config}); err != nil {
		return 0, err
	}
	code = run()
	if code != 0 {
		fmt.Fprintln(os.Stderr, secured.Tail(30))
	}
	return code, secured.Stop()
}

// securedConfig gives Consul its two further ports, and a certificate.
func securedConfig(dir string, ports *testmesh.Ports) (string, error) {
	var err error
	if secured.authority, err = testmesh.NewAuthority(dir, "consul-ca"); err != nil {
		return "", err
	}
	if secured.other, err = testmesh.NewAuthority(dir, "other-ca"); err != nil {
		return "", err
	}
	certFile, keyFile, err := secured.authority.Issue("server.dc1.consul")
	if err != nil {
		return "", err
	}
	var https, grpcs int
	if err := ports.Fill(&https, &grpcs); err != nil {
		return "", err
	}
	secured.https, secured.grpcs = fmt.Sprintf("127.0.0.1:%d", https), fmt.Sprintf("127.0.0.1:%d", grpcs)
	return fmt.Sprintf(`
ports { https = %d  grpc_tls = %d }
tls { defaults { ca_file = %q  cert_file = %q  key_file = %q } }
`, https, grpcs, secured.authority.CAFile, certFile, keyFile), nil
}

// said is the report as people read it.
func said(t *testing.T, r *Report) string {
	t.Helper()
	var out bytes.Buffer
	if err := r.WriteTable(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// find is the finding of a check.
func find(t *testing.T, r *Report, check string) Finding {
	t.Helper()
	for _, f := range r.Findings {
		if f.Check == check {
			return f
		}
	}
	t.Fatalf("there is no check %q in\n%s", check, said(t, r))
	return Finding{}
}

// expect checks a finding's verdict, and words of what it says and advises.
func expect(t *testing.T, r *Report, check string, v Verdict, words ...string) {
	t.Helper()
	f := find(t, r, check)
	if f.Verdict != v {
		t.Errorf("%s is %s, want %s: %s", check, f.Verdict, v, f.Text)
	}
	if v != OK && f.Next == "" {
		t.Errorf("%s is %s, and says not what to do", check, v)
	}
	for _, word := range words {
		if !regexp.MustCompile(word).MatchString(f.Text + " -> " + f.Next) {
			t.Errorf("%s does not say %q: %s -> %s", check, word, f.Text, f.Next)
		}
	}
}

// sound checks that nothing is worse than skipped.
func sound(t *testing.T, r *Report) {
	t.Helper()
	for _, f := range r.Findings {
		if f.Verdict == Warn || f.Verdict == Fail {
			t.Errorf("%s is %s: %s -> %s", f.Check, f.Verdict, f.Text, f.Next)
		}
	}
}
