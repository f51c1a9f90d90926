package patch

import (
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	commondnsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/common/dns/v3"
	dnsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/dns/v3"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Envoy asks for a name every 5 s by default, each cluster for itself: with
// thousands of functions that is thousands of questions for one name. The answer's
// own TTL (AWS: a minute or less) is often enough, dnsRefresh where it has none;
// after a failure sooner, and then less and less often.
const (
	dnsRefresh     = 30 * time.Second
	dnsRetry       = time.Second
	dnsRetryAtMost = 30 * time.Second
)

// resolve has Envoy ask for the endpoint's name, in both families, and try the
// addresses in turn (RFC 8305) whenever it opens a connection: logical DNS. The
// cluster extension for that is younger than the oldest Envoy in cluster mode;
// from 1.36, where it was tried, it replaces the cluster's own fields, of which
// Envoy says for each cluster anew that they are deprecated.
func resolve(c *clusterv3.Cluster, v Version) error {
	if !v.atLeast(1, 36) {
		c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_LOGICAL_DNS}
		c.DnsLookupFamily = clusterv3.Cluster_ALL
		c.RespectDnsTtl = true                                    //nolint:staticcheck // see above
		c.DnsRefreshRate = durationpb.New(dnsRefresh)             //nolint:staticcheck // see above
		c.DnsFailureRefreshRate = &clusterv3.Cluster_RefreshRate{ //nolint:staticcheck // see above
			BaseInterval: durationpb.New(dnsRetry),
			MaxInterval:  durationpb.New(dnsRetryAtMost),
		}
		return nil
	}
	config, err := pack(&dnsv3.DnsCluster{
		AllAddressesInSingleEndpoint: true,
		DnsLookupFamily:              commondnsv3.DnsLookupFamily_ALL,
		RespectDnsTtl:                true,
		DnsRefreshRate:               durationpb.New(dnsRefresh),
		DnsFailureRefreshRate: &dnsv3.DnsCluster_RefreshRate{
			BaseInterval: durationpb.New(dnsRetry),
			MaxInterval:  durationpb.New(dnsRetryAtMost),
		},
	})
	if err != nil {
		return err
	}
	c.ClusterDiscoveryType = &clusterv3.Cluster_ClusterType{
		ClusterType: &clusterv3.Cluster_CustomClusterType{Name: "envoy.clusters.dns", TypedConfig: config},
	}
	return nil
}
