package e2e

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/lambdamesh/lambdamesh/internal/consul"
	"github.com/lambdamesh/lambdamesh/lambda"
)

// partitions: the documented entry of an admin partition, as the consul command reads it.
// Consul Enterprise cannot be had: a fake takes what the command writes. What the entry
// lists is then a function of that partition and namespace, and of no other.
func (s *topologies) partitions(t *testing.T) {
	var gateway api.TerminatingGatewayConfigEntry
	enterprise := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPut || r.URL.Path != "/v1/config" {
			t.Errorf("asked for %s %s", r.Method, r.URL)
		}
		if err := json.NewDecoder(r.Body).Decode(&gateway); err != nil {
			t.Errorf("reading what is written: %v", err)
		}
		_, _ = w.Write([]byte("true"))
	}))
	defer enterprise.Close()
	file := filepath.Join(t.TempDir(), "entry.hcl")
	for _, entry := range s.entriesOf("Admin partitions and namespaces") {
		s.must(os.WriteFile(file, []byte(entry), 0o600))
		_, err := s.Consul.CLI(s.ctx, "", "config", "write", "-http-addr="+enterprise.URL, file)
		s.must(err)
	}
	entries := consul.Entries{Gateways: []*api.TerminatingGatewayConfigEntry{&gateway}}
	for _, at := range []lambda.ServiceName{
		lambda.NewServiceName("hello", "team", "east"), lambda.NewServiceName("hello", "team", ""), lambda.NewServiceName("hello", "", "east"),
	} {
		entries.Services = append(entries.Services, &api.ServiceConfigEntry{
			Kind: api.ServiceDefaults, Name: at.Name, Namespace: at.Namespace, Partition: at.Partition, Protocol: "http",
			Meta: map[string]string{lambda.Prefix + lambda.KeyEnabled: "true", lambda.Prefix + lambda.KeyARN: s.arnOf("hello")},
		})
	}
	for _, service := range consul.BuildTable(entries, nil).Services() {
		if want := service.Name.String() == "east/team/hello"; service.Fronted != want || service.State != lambda.StateOK {
			t.Errorf("%s: fronted is %t, state %s", service.Name, service.Fronted, service.State)
		}
	}
}
