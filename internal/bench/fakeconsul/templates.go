package fakeconsul

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	"google.golang.org/protobuf/proto"

	// Protos inside the Anys of Consul's clusters.
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/aggregate/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/aws_lambda/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"

	"github.com/lambdamesh/lambdamesh/internal/golden"
)

// templates are clusters that a real Consul sent, to be given other names.
type templates struct {
	service  *clusterv3.Cluster // of an ordinary service, on a sidecar
	function *clusterv3.Cluster // of a service without an address, on a terminating gateway
}

// recorded are the recordings they are taken from, in the order of templates.
var recorded = []struct{ recording, file string }{
	{"sidecar-with-gateway", "service.pb"},
	{"terminating-gateway", "function.pb"},
}

// WriteTemplates writes them to files in dir, for a process that runs outside the
// source tree.
func WriteTemplates(dir string) error {
	root, err := golden.Root()
	if err != nil {
		return err
	}
	for _, from := range recorded {
		r, err := golden.ReadRecording(filepath.Join(root, "lambda", "patch", "testdata", from.recording, "input.json"))
		if err != nil {
			return err
		}
		cluster, err := plain(r)
		if err != nil {
			return fmt.Errorf("reading the recording %s: %w", from.recording, err)
		}
		encoded, err := proto.Marshal(cluster)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, from.file), encoded, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// plain is the recorded cluster of the service called plain.
func plain(r golden.Recording) (*clusterv3.Cluster, error) {
	for _, encoded := range r.Clusters {
		c := &clusterv3.Cluster{}
		if err := golden.ReadMessage(encoded, c); err != nil {
			return nil, err
		}
		if c.GetName() == Cluster("plain") {
			return c, nil
		}
	}
	return nil, errors.New("it has no cluster of the service plain")
}

func readTemplates(dir string) (*templates, error) {
	t := &templates{service: &clusterv3.Cluster{}, function: &clusterv3.Cluster{}}
	for i, into := range []*clusterv3.Cluster{t.service, t.function} {
		encoded, err := os.ReadFile(filepath.Join(dir, recorded[i].file))
		if err != nil {
			return nil, err
		}
		if err := proto.Unmarshal(encoded, into); err != nil {
			return nil, err
		}
	}
	return t, nil
}
