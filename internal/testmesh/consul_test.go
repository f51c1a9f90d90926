package testmesh

import (
	"fmt"
	"net"
	"strings"
	"testing"
)

// TestConsulLeavesNothing starts a real server with ACLs, uses it, restarts it on its
// ports and ends it: no process and no listener stays.
func TestConsulLeavesNothing(t *testing.T) {
	ctx := Context(t)
	c := TestConsul(t, ConsulConfig{})

	token, err := c.Token(ctx, "proxy", ReadMesh)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SetEntry(ctx, LambdaDefaults("hello", map[string]string{"enabled": "true"})); err != nil {
		t.Fatal(err)
	}
	// Default deny: the anonymous token sees nothing, a reader does not write.
	if services, _, err := c.APIWith("").Catalog().Services(nil); err != nil || len(services) != 0 {
		t.Errorf("the anonymous token sees %v, error %v; want nothing", services, err)
	}
	if services, _, err := c.APIWith(token.SecretID).Catalog().Services(nil); err != nil || len(services) != 1 {
		t.Errorf("a reader sees %v, error %v; want the service consul", services, err)
	}
	if _, err := c.APIWith(token.SecretID).ConfigEntries().Delete("service-defaults", "hello", nil); err == nil {
		t.Error("a reader deleted a config entry")
	}

	first := c.Pid()
	if err := c.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	if c.Pid() == first {
		t.Error("Restart kept the process")
	}
	if entry, _, err := c.API().ConfigEntries().Get("service-defaults", "hello", nil); err != nil || entry.GetMeta()[MetaPrefix+"enabled"] != "true" {
		t.Errorf("after Restart the entry is %v, error %v", entry, err)
	}

	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	if groupLives(c.Pid()) {
		t.Error("the process group is still there")
	}
	for _, addr := range []string{c.HTTPAddr(), c.GRPCAddr(), c.RPCAddr(), c.SerfAddr()} {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Errorf("the address is still in use: %v", err)
			continue
		}
		_ = l.Close()
	}
	if strings.Contains(c.Tail(10000), c.ManagementToken()) {
		t.Error("the log holds the management token")
	}
}

func ExampleLambdaDefaults() {
	entry := LambdaDefaults("hello", map[string]string{"region": "us-east-1"})
	fmt.Println(entry.Protocol, entry.Meta)
	// Output: http map[serverless.consul.hashicorp.com/v1alpha1/lambda/region:us-east-1]
}
