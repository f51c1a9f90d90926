package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/hashicorp/consul/api"

	"github.com/lambdamesh/lambdamesh/internal/recorder"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// untouched: what a gateway and a sidecar are told is what Consul itself tells who has
// the same token, byte for byte and version for version, but for the clusters of functions
// and the routes that lead to them.
func (s *topologies) untouched(t *testing.T) {
	s.answers(s.web, "app", testmesh.Request{}, http.StatusOK)
	external := s.listenAsExternal()
	if r := s.answers(s.web, "external", testmesh.Request{}, http.StatusOK); string(r.Body) != external {
		t.Errorf("external is answered by %s", r.Body)
	}
	for _, proxy := range []struct {
		id, token string
		changed   []string // what is another, by shortName
		ordinary  []string // parts of names that must be among what is the same
	}{
		{s.web.ProxyID, s.web.Token.SecretID, []string{
			"Cluster near", "Listener hello", "Listener hello-blue", "Listener hello-green", "Listener ledger", "Listener near", "Listener vault",
			"RouteConfiguration canary", "RouteConfiguration first", "RouteConfiguration goodbye", "RouteConfiguration halves",
			"RouteConfiguration mixed", "RouteConfiguration old-hello", "RouteConfiguration shop",
		}, []string{
			recorder.ClusterType + " app.default.", recorder.EndpointType + " app.default.", recorder.ListenerType + " app:",
			recorder.ClusterType + " external.default.", recorder.ClusterType + " local_app",
			recorder.ListenerType + " public_listener:", recorder.ListenerType + " external:",
		}},
		{s.gateway.Name, s.gateway.Token.SecretID, []string{
			"Cluster first", "Cluster goodbye", "Cluster hello", "Cluster hello-blue", "Cluster hello-green", "Cluster ledger",
			"Cluster stable.goodbye", "Cluster vault",
			"RouteConfiguration first", "RouteConfiguration goodbye", "RouteConfiguration hello", "RouteConfiguration hello-blue",
			"RouteConfiguration hello-green", "RouteConfiguration ledger", "RouteConfiguration stable.goodbye", "RouteConfiguration vault",
		}, []string{
			recorder.ClusterType + " external.default.", recorder.EndpointType + " external.default.", recorder.RouteType + " external.default.",
			recorder.ListenerType + " default:",
		}},
	} {
		fromConsul, fromUs := s.listen(s.Consul.GRPCAddr(), proxy.id, proxy.token), s.listen(s.Lambdamesh.XDSAddr(), proxy.id, proxy.token)
		s.must(testmesh.Poll(s.ctx, func(context.Context) error {
			want, got := fromConsul.all(), fromUs.all()
			var changed, same []string
			for name, resource := range want {
				other, ok := got[name]
				switch {
				case !ok && slices.Contains(proxy.changed, strings.Replace(shortName(name), "ClusterLoadAssignment", "Cluster", 1)):
					// Its cluster has no endpoints that would be asked for.
				case !ok:
					return fmt.Errorf("%s: lambdamesh has not sent %s", proxy.id, name)
				case bytes.Equal(other.GetResource().GetValue(), resource.GetResource().GetValue()) && other.GetVersion() == resource.GetVersion():
					same = append(same, name)
				default:
					changed = append(changed, name)
				}
			}
			for name := range got {
				if want[name] == nil {
					return fmt.Errorf("%s: consul has not sent %s", proxy.id, name)
				}
			}
			for i, name := range changed {
				changed[i] = shortName(name)
			}
			if slices.Sort(changed); !slices.Equal(changed, proxy.changed) {
				return fmt.Errorf("%s: %q are other ones, want %q", proxy.id, changed, proxy.changed)
			}
			for _, part := range proxy.ordinary {
				if !slices.ContainsFunc(same, func(name string) bool { return strings.HasPrefix(name, part) }) {
					return fmt.Errorf("%s: no %s among %v", proxy.id, part, same)
				}
			}
			t.Logf("%s: %d resources are the same, %d other ones", proxy.id, len(same), len(changed))
			return nil
		}))
	}
}

// shortName is a resource of a service: the last word of its type, and its name without
// datacenter and address.
func shortName(resource string) string {
	_, resource, _ = strings.Cut(resource, "/")
	kind, name, _ := strings.Cut(resource, " ")
	name, _, _ = strings.Cut(name, ".default.")
	name, _, _ = strings.Cut(name, ":")
	return kind[strings.LastIndex(kind, ".")+1:] + " " + name
}

// listenAsExternal is a service outside of the mesh, which the gateway leads to by its
// address. It answers with the text that is returned.
func (s *story) listenAsExternal() string {
	s.t.Helper()
	const says = "from outside"
	var port int
	s.must(s.Ports().Fill(&port))
	s.serve(port, says)
	_, err := s.Consul.API().Catalog().Register(&api.CatalogRegistration{
		Node: "outside", Address: "127.0.0.1", NodeMeta: map[string]string{"external-node": "true"},
		Service: &api.AgentService{ID: "external-1", Service: "external", Address: "127.0.0.1", Port: port},
	}, (&api.WriteOptions{}).WithContext(s.ctx))
	s.must(err)
	return says
}

// listener is a delta ADS client that asks for all that an Envoy of this proxy would, and
// accepts everything.
type listener struct {
	mu   sync.Mutex
	last map[string]*discoveryv3.Resource // by type and name; guarded by mu
}

func (l *listener) all() map[string]*discoveryv3.Resource {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.last)
}

// listen attaches a listener until the end of this part.
func (s *story) listen(addr, id, token string) *listener {
	s.t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	s.must(err)
	ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(s.ctx, "x-consul-token", token))
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx)
	s.must(err)
	s.must(stream.Send(&discoveryv3.DeltaDiscoveryRequest{Node: envoyNode(id), TypeUrl: recorder.ClusterType}))
	l := &listener{last: map[string]*discoveryv3.Resource{}}
	done := make(chan error, 1)
	go func() {
		for {
			resp, err := stream.Recv()
			if err == nil {
				err = l.take(stream, resp)
			}
			if err != nil {
				done <- err
				return
			}
		}
	}()
	t := s.t
	t.Cleanup(func() {
		cancel()
		if err := <-done; ctx.Err() == nil || errors.Is(err, errUnreadable) {
			t.Errorf("listening to %s: %v", addr, err)
		}
		_ = conn.Close()
	})
	return l
}

var errUnreadable = errors.New("a resource cannot be read")

// take notes a response, accepts it, and asks for what it leads to. After the first
// clusters it asks for listeners.
func (l *listener) take(stream grpc.BidiStreamingClient[discoveryv3.DeltaDiscoveryRequest, discoveryv3.DeltaDiscoveryResponse], resp *discoveryv3.DeltaDiscoveryResponse) error {
	requests := []*discoveryv3.DeltaDiscoveryRequest{{TypeUrl: resp.GetTypeUrl(), ResponseNonce: resp.GetNonce()}}
	l.mu.Lock()
	first := len(l.last) == 0
	for _, name := range resp.GetRemovedResources() {
		delete(l.last, resp.GetTypeUrl()+" "+name)
	}
	for _, resource := range resp.GetResources() {
		l.last[resp.GetTypeUrl()+" "+resource.GetName()] = resource
		typeURL, names, err := leadsTo(resource)
		if err != nil {
			l.mu.Unlock()
			return errors.Join(errUnreadable, err)
		}
		if len(names) > 0 {
			requests = append(requests, &discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeURL, ResourceNamesSubscribe: names})
		}
	}
	l.mu.Unlock()
	if first {
		requests = append(requests, &discoveryv3.DeltaDiscoveryRequest{TypeUrl: recorder.ListenerType})
	}
	for _, request := range requests {
		if err := stream.Send(request); err != nil {
			return err
		}
	}
	return nil
}

// leadsTo are the endpoints of a cluster, or the routes of a listener.
func leadsTo(resource *discoveryv3.Resource) (typeURL string, names []string, err error) {
	switch resource.GetResource().GetTypeUrl() {
	case recorder.ClusterType:
		var c clusterv3.Cluster
		if err := resource.GetResource().UnmarshalTo(&c); err != nil {
			return "", nil, err
		}
		if c.GetType() == clusterv3.Cluster_EDS {
			names = append(names, c.GetName())
		}
		return recorder.EndpointType, names, nil
	case recorder.ListenerType:
		var l listenerv3.Listener
		if err := resource.GetResource().UnmarshalTo(&l); err != nil {
			return "", nil, err
		}
		for _, chain := range l.GetFilterChains() {
			for _, filter := range chain.GetFilters() {
				var manager hcmv3.HttpConnectionManager
				if filter.GetTypedConfig().MessageIs(&manager) {
					if err := filter.GetTypedConfig().UnmarshalTo(&manager); err != nil {
						return "", nil, err
					}
					if name := manager.GetRds().GetRouteConfigName(); name != "" {
						names = append(names, name)
					}
				}
			}
		}
		return recorder.RouteType, names, nil
	}
	return "", nil, nil
}
