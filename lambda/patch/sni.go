package patch

import (
	"strings"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// sni is what the name of a cluster says when it is the server name of a service
// of the mesh. Consul names clusters in these forms:
//
//	[HASH~][SUBSET.]SERVICE.NAMESPACE.DATACENTER.internal.TRUSTDOMAIN
//	[HASH~][SUBSET.]SERVICE.NAMESPACE.PARTITION.DATACENTER.internal-v1.TRUSTDOMAIN
//
// HASH, in hex, tells apart chains of one service that were customized.
type sni struct {
	service    lambda.ServiceName
	subset     string
	datacenter string
}

// parseSNI reads the name of a cluster. ok is false for a name that is no
// service's of this cluster of datacenters: local_app, names in front of which
// stands passthrough~, exported~ or failover-target~N~, peered ones.
func parseSNI(name string) (parsed sni, ok bool) {
	if hash, rest, found := strings.Cut(name, "~"); found {
		if !isHex(hash) || strings.Contains(rest, "~") {
			return sni{}, false
		}
		name = rest
	}
	var space [8]string // more than any name of Consul's has
	labels := space[:0]
	for label := range strings.SplitSeq(name, ".") {
		if label == "" {
			return sni{}, false
		}
		labels = append(labels, label)
	}
	// The last marker counts, since a namespace or a datacenter may bear the
	// marker's name; a trust domain (UUID.consul) does not.
	for i := len(labels) - 2; i >= 0; i-- {
		var parts int // without the subset
		switch labels[i] {
		case "internal":
			parts = 3
		case "internal-v1":
			parts = 4
		default:
			continue
		}
		// SERVICE.NAMESPACE.PARTITION.internal.external.TRUSTDOMAIN is of a peer
		// that is called internal.
		if labels[i+1] == "external" || i < parts || i > parts+1 {
			return sni{}, false
		}
		of := labels[:i]
		if i > parts {
			parsed.subset, of = of[0], of[1:]
		}
		partition := ""
		if parts == 4 {
			partition = of[2]
		}
		parsed.service = lambda.NewServiceName(of[0], of[1], partition)
		parsed.datacenter = of[len(of)-1]
		return parsed, true
	}
	return sni{}, false
}

func isHex(s string) bool {
	for _, c := range s {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return s != ""
}

// SNI is the name under which Consul has the cluster of a service, without subset.
func SNI(service lambda.ServiceName, datacenter, trustDomain string) string {
	if service.Partition == lambda.DefaultName {
		return strings.Join([]string{service.Name, service.Namespace, datacenter, "internal", trustDomain}, ".")
	}
	return strings.Join([]string{service.Name, service.Namespace, service.Partition, datacenter, "internal-v1", trustDomain}, ".")
}
