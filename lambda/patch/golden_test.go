package patch

import (
	"encoding/json"
	"path/filepath"
	"testing"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"

	// Protos inside the Anys of Consul's clusters and listeners.
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/aggregate/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_to_metadata/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/tls_inspector/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/rbac/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/sni_cluster/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"

	"github.com/lambdamesh/lambdamesh/internal/golden"
)

// shown is a verdict in a golden file.
type shown struct {
	Service string          `json:"service,omitempty"`
	Form    string          `json:"form,omitempty"`
	Path    string          `json:"path,omitempty"`
	Reason  string          `json:"reason,omitempty"`
	Watch   string          `json:"watch,omitempty"`
	Keep    bool            `json:"keep,omitempty"`
	Cluster json.RawMessage `json:"cluster,omitempty"` // absent: as Consul sent it
}

// What becomes of what a real Consul tells each kind of proxy: testdata/CASE's
// input.json (`go run ./internal/golden/record`) and output.json.
func TestGolden(t *testing.T) {
	var outputs []string
	for _, r := range recordings(t) {
		output := filepath.Join("testdata", r.name, "output.json")
		outputs = append(outputs, output)
		t.Run(r.name, func(t *testing.T) {
			all := map[string]shown{}
			for name, v := range r.verdicts(r.patcher(t, options(t))) {
				s := shown{Watch: v.Watch, Keep: v.Keep}
				if p := v.Patch; p != nil {
					made := p.Make()
					s.Service, s.Form, s.Path, s.Reason = p.Service, made.Form, p.Path, made.Reason
					var err error
					if s.Cluster, err = golden.Message(made.Cluster); err != nil {
						t.Fatal(err)
					}
				}
				if u := v.Unpatched; u != nil {
					s.Service, s.Reason = u.Service, u.Reason
				}
				all[name] = s
			}
			b, err := golden.JSON(all)
			if err != nil {
				t.Fatal(err)
			}
			golden.Equal(t, output, b)
		})
	}
	golden.Only(t, filepath.Join("testdata", "*", "output*"), outputs...)
}

// routed is what becomes of a listener or a route configuration.
type routed struct {
	Subjects []string        `json:"subjects,omitempty"`
	Changed  json.RawMessage `json:"changed,omitempty"` // absent: as Consul sent it
}

// What becomes of listeners and route configurations: testdata/CASE's input.json and
// routing.json; in listener mode routing-listener.json, with what its clusters have then.
func TestGoldenRouting(t *testing.T) {
	var files []string
	for _, r := range recordings(t) {
		for mode, name := range map[Mode]string{ModeAuto: "routing.json", ModeListener: "routing-listener.json"} {
			file := filepath.Join("testdata", r.name, name)
			files = append(files, file)
			t.Run(r.name+" "+string(mode), func(t *testing.T) {
				opts := options(t)
				opts.Mode = mode
				p := r.patcher(t, opts)
				all := map[string]routed{}
				for _, o := range r.others {
					shown := routed{Subjects: p.Subjects(o.typeURL, o.raw)}
					if patch := p.Other(o.typeURL, o.raw, r.proxy); patch != nil {
						shown.Changed = decoded(t, o, patch.Make())
					}
					all[o.name] = shown
				}
				if mode == ModeListener {
					for _, name := range patched(r.verdicts(p), FormListener) {
						made, err := golden.Message(r.verdicts(p)[name].Patch.Make().Cluster)
						if err != nil {
							t.Fatal(err)
						}
						all["cluster "+name] = routed{Changed: made}
					}
				}
				b, err := golden.JSON(all)
				if err != nil {
					t.Fatal(err)
				}
				golden.Equal(t, file, b)
			})
		}
	}
	golden.Only(t, filepath.Join("testdata", "*", "routing*"), files...)
}

// decoded is what became of a listener or a route configuration, for a file.
func decoded(t *testing.T, o other, made Made) json.RawMessage {
	t.Helper()
	var m proto.Message = &routev3.RouteConfiguration{}
	if o.typeURL == TypeListener {
		m = &listenerv3.Listener{}
	}
	if err := proto.Unmarshal(made.Encoded, m); err != nil || made.Reason != "" {
		t.Fatalf("%s: %v %s", o.name, err, made.Reason)
	}
	b, err := golden.Message(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
