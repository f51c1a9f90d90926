package patch

import (
	"strings"
	"testing"

	"github.com/lambdamesh/lambdamesh/lambda"
)

const trustDomain = "11111111-2222-3333-4444-555555555555.consul"

// inPartition rewrites a recording, which is of Consul's community edition, to what
// Enterprise names so: clusters of namespace team in partition east. Its test
// certificates stay those of a service of the default partition.
func inPartition(r recorded) recorded {
	const from = ".default.dc1.internal."
	const to = ".team.east.dc1.internal-v1."
	for i, c := range r.clusters {
		r.clusters[i].name = strings.ReplaceAll(c.name, from, to)
	}
	endpoints := map[string]Endpoints{}
	for name, known := range r.endpoints {
		endpoints[strings.ReplaceAll(name, from, to)] = known
	}
	r.endpoints = endpoints
	return r
}

// inTeam are the same services of namespace team in a partition.
func inTeam(table *lambda.Table, partition string) []lambda.Service {
	var services []lambda.Service
	for _, s := range table.Services() {
		s := *s
		s.Name = lambda.NewServiceName(s.Name.Name, "team", partition)
		services = append(services, s)
	}
	return services
}

// A gateway of a partition gets the functions of that partition, and not those of
// the same names elsewhere.
func TestPartitionsOnAGateway(t *testing.T) {
	r := inPartition(recordingOf(t, "terminating-gateway"))
	const name = "hello.team.east.dc1.internal-v1." + trustDomain
	for partition, form := range map[string]string{"east": FormCluster, "west": ""} {
		r.table = lambda.NewTable(inTeam(recordingOf(t, "terminating-gateway").table, partition)...)
		v := r.verdicts(r.patcher(t, options(t)))[name]
		if v.Patch == nil {
			t.Fatalf("%s: no patch of %s", partition, name)
		}
		made := v.Patch.Make()
		if made.Form != form || made.Cluster.GetName() != name || v.Patch.Service != "east/team/hello" {
			t.Errorf("a function of %s: %q, for %s: %s", partition, made.Form, v.Patch.Service, made.Reason)
		}
	}
}

// A caller invokes directly what is of its own partition alone: of another one, it
// may have no endpoint because the service is not exported to it.
func TestPartitionsDirectly(t *testing.T) {
	const from, to = "solo.default.dc1.internal." + trustDomain, "solo.team.east.dc1.internal-v1." + trustDomain
	r := recordingOf(t, "sidecar-without-gateway")
	services := append(inTeam(r.table, "east"), inTeam(r.table, lambda.DefaultName)...)
	r.table = lambda.NewTable(services...).WithIntentions(lambda.NewIntentions(true))
	r = inPartition(r)
	if v := r.verdicts(r.patcher(t, options(t)))[to]; v.Patch != nil || !v.Keep {
		t.Errorf("a caller of partition default: %+v", v)
	}
	// The same namespace in the caller's own partition.
	r = recordingOf(t, "sidecar-without-gateway")
	r.table = lambda.NewTable(services...).WithIntentions(lambda.NewIntentions(true))
	const team = "solo.team.dc1.internal." + trustDomain
	r.endpoints[team] = EndpointsNone
	for i, c := range r.clusters {
		if c.name == from {
			r.clusters[i].name = team
		}
	}
	if v := r.verdicts(r.patcher(t, options(t)))[team]; v.Patch == nil || v.Patch.Make().Form != FormCluster || v.Patch.Service != "default/team/solo" {
		t.Errorf("a caller of the same partition: %+v", v)
	}
}
