package registrator_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	. "github.com/lambdamesh/lambdamesh/registrator"
)

// With Consul Enterprise a function's services go to the partition and namespace
// that its tags name, and each request names them too.
func TestEnterprise(t *testing.T) {
	aws := StartFakeAWS(t)
	consul, client := StartFakeEnterprise(t, map[string][]string{
		"default": {"default", "team"}, "p1": {"default"}, "p2": {"default"},
	})
	log := &buffer{}
	r, err := New(Config{
		Consul: client, Regions: aws.Regions(t, nil), Partitions: []string{"default", "p1"}, NoTimeouts: true,
		Lists:  []List{GatewayList("gw"), ExportList("peer:east"), ExportList("p2")},
		Logger: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	sync := func(want ...string) Plan {
		t.Helper()
		consul.Requests()
		result, err := r.Sync(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range result.Plan.Changes {
			got = append(got, string(c.Kind)+" "+c.Partition+"/"+c.Namespace+"/"+c.Service)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("plan (-want +got):\n%s", diff)
		}
		return result.Plan
	}
	has := func(partition, namespace string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(append([]string{}, want...), consul.Has(partition, namespace)); diff != "" {
			t.Errorf("%s/%s has (-want +got):\n%s", partition, namespace, diff)
		}
	}

	aws.Put("f", Enabled())
	aws.Put("g", Enabled("namespace", "team", "aliases", "live"))
	aws.Put("h", Enabled("partition", "p1"))
	aws.Put("nowhere", Enabled("namespace", "lost"))
	aws.Put("others", Enabled("partition", "p2"))
	plan := sync("create default/default/f", "create default/team/g", "create default/team/g-live", "create p1/default/h")
	has("default", "default", "exported-services default", "f", "service-defaults f", "terminating-gateway gw")
	has("default", "team", "g", "g-live", "service-defaults g", "service-defaults g-live")
	has("p1", "default", "exported-services p1", "h", "service-defaults h", "terminating-gateway gw")
	has("p2", "default")
	var reasons []string
	for _, skip := range plan.Skipped {
		reasons = append(reasons, skip.Reason)
	}
	if diff := cmp.Diff([]string{
		"service nowhere: partition default has no namespace lost, or Consul's token may not see it",
		"it is tagged for partition p2, which is not one of --partitions",
	}, reasons); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(log.String(), "no namespace lost") || strings.Contains(log.String(), "p2") {
		t.Errorf("it says:\n%s", log)
	}
	for name, want := range map[string]string{
		"gw":      `[{"Name":"f","Namespace":"default"},{"Name":"g","Namespace":"team"},{"Name":"g-live","Namespace":"team"}]`,
		"default": `[{"Consumers":[{"Peer":"east"},{"Partition":"p2"}],"Name":"f","Namespace":"default"},{"Consumers":[{"Peer":"east"},{"Partition":"p2"}],"Name":"g","Namespace":"team"},{"Consumers":[{"Peer":"east"},{"Partition":"p2"}],"Name":"g-live","Namespace":"team"}]`,
	} {
		kind := map[string]string{"gw": "terminating-gateway", "default": "exported-services"}[name]
		if diff := cmp.Diff(want, consul.Lines("default", kind, name)); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
	if diff := cmp.Diff(`[{"Consumers":[{"Peer":"east"},{"Partition":"p2"}],"Name":"h","Namespace":"default"}]`, consul.Lines("p1", "exported-services", "p1")); diff != "" {
		t.Error(diff)
	}

	// Without a change: the namespaces of each partition, two reads for each of those,
	// and the lists of each partition.
	sync()
	if diff := cmp.Diff([]string{
		"GET namespaces default/",
		"GET namespaces p1/",
		"GET config/service-defaults default/default",
		"GET catalog/node-services/lambdas default/default",
		"GET config/terminating-gateway/gw default/default",
		"GET config/exported-services/default default/default",
		"GET config/service-defaults default/team",
		"GET catalog/node-services/lambdas default/team",
		"GET config/service-defaults p1/default",
		"GET catalog/node-services/lambdas p1/default",
		"GET config/terminating-gateway/gw p1/default",
		"GET config/exported-services/p1 p1/default",
	}, consul.Requests()); diff != "" {
		t.Error(diff)
	}

	// Functions that move to another namespace, and to a partition that somebody else
	// keeps, leave nothing behind.
	aws.Put("g", Enabled())
	aws.Put("h", Enabled("partition", "p2"))
	sync("create default/default/g", "delete default/team/g", "delete default/team/g-live", "delete p1/default/h")
	has("default", "default", "exported-services default", "f", "g", "service-defaults f", "service-defaults g", "terminating-gateway gw")
	has("default", "team")
	has("p1", "default", "exported-services p1", "terminating-gateway gw")
	has("p2", "default")
	if got := consul.Lines("p1", "exported-services", "p1"); got != "[]" {
		t.Errorf("p1 still exports %s", got)
	}
	sync()
}

// The community edition has no namespaces, and says so by a 404.
func testEnterpriseFlagWithoutEnterprise(t *testing.T, m *mesh) {
	r := m.registrator(func(c *Config) { c.Partitions = []string{"default"} })
	m.aws.Put("f", Enabled())
	if _, err := r.Sync(t.Context()); err == nil || !strings.Contains(err.Error(), "--enterprise: this Consul knows no namespaces") {
		t.Errorf("error %v", err)
	}
	m.gone("f")
}
