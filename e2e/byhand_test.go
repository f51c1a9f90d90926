package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// TestRegisteredByHand follows the steps of Consul's "Register Lambda Functions",
// "Manual", with curl's request and the consul command as they stand there.
func TestRegisteredByHand(t *testing.T) {
	t.Parallel()
	s := begin(t, testmesh.MeshConfig{NoRegistrator: true})
	arn := s.function("lambda", "echo", nil)
	s.allow("web", "lambda")
	s.gateway("gateway", "lambda")
	web := s.sidecar("web", "lambda")

	body := `{"Node":"lambdas","SkipNodeUpdate":true,"NodeMeta":{"external-node":"true","external-probe":"true"},"Service":{"Service":"lambda"}}`
	req, err := http.NewRequestWithContext(s.ctx, http.MethodPut, "http://"+s.Consul.HTTPAddr()+"/v1/catalog/register", strings.NewReader(body))
	s.must(err)
	req.Header.Set("X-Consul-Token", s.Consul.ManagementToken())
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	s.must(err)
	answer, _ := io.ReadAll(resp.Body)
	s.must(resp.Body.Close())
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("registering: %d %s", resp.StatusCode, answer)
	}

	const prefix = "serverless.consul.hashicorp.com/v1alpha1/lambda/"
	entry := fmt.Sprintf(`
Kind = "service-defaults"
Name = "lambda"
Protocol = "http"
Meta = {
  "%[1]senabled" = "true"
  "%[1]sarn" = "%[2]s"
  "%[1]spayload-passthrough" = "true"
  "%[1]sregion" = "us-east-1"
}
`, prefix, arn)
	file := filepath.Join(t.TempDir(), "lambda-service-defaults.hcl")
	s.must(os.WriteFile(file, []byte(entry), 0o600))
	_, err = s.Consul.CLI(s.ctx, s.Consul.ManagementToken(), "config", "write", file)
	s.must(err)

	r := s.answers(web, "lambda", testmesh.Request{Method: "POST", Body: `"by hand"`}, 200)
	if !strings.Contains(string(r.Body), `"by hand"`) {
		t.Errorf("the answer is %s", r.Body)
	}
	s.signed()
}
