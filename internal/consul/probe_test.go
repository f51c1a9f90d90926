package consul_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/lambdamesh/lambdamesh/internal/consul"
)

func TestProbe(t *testing.T) {
	probed, err := clientWith(t, "").Probe(within(t))
	must(t, err)
	if probed.Leader == "" || probed.Certificate != nil || time.Since(probed.Time).Abs() > time.Minute {
		t.Errorf("%+v", probed)
	}
}

// Over a Unix socket, behind which a fake says which path it was asked for.
func TestProbeByUnixSocket(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "consul.sock")
	listener, err := net.Listen("unix", socket)
	must(t, err)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(`"` + r.URL.Path + `"`))
	}))
	_ = server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	client, err := consul.NewClient(consul.ClientConfig{Address: "unix://" + socket})
	must(t, err)
	t.Cleanup(client.Close)
	probed, err := client.Probe(within(t))
	if err != nil || probed.Leader != "/v1/status/leader" {
		t.Errorf("%+v, %v", probed, err)
	}
}
