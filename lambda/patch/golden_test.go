package patch

import (
	"encoding/json"
	"path/filepath"
	"testing"

	// Protos inside the Anys of Consul's clusters.
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/aggregate/v3"
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
