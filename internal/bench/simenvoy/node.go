package simenvoy

import (
	_ "embed"
	"fmt"
	"sync"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"
)

// recordedNode is the Node of a real Envoy, with all its extensions:
//
//	go run ./internal/bench record-node
//
//go:embed testdata/node.json
var recordedNode []byte

var parsedNode = sync.OnceValues(func() (*corev3.Node, error) {
	node := &corev3.Node{}
	if err := protojson.Unmarshal(recordedNode, node); err != nil {
		return nil, fmt.Errorf("reading the recorded Node: %w", err)
	}
	return node, nil
})

// Node is the recorded Node under another id, with the name of the Consul node that
// the proxy is registered on. cluster is put where a fake reads its script.
func Node(id, consulNode, cluster string) (*corev3.Node, error) {
	recorded, err := parsedNode()
	if err != nil {
		return nil, err
	}
	// What is large is shared, and nobody changes it.
	metadata := &structpb.Struct{Fields: map[string]*structpb.Value{"node_name": structpb.NewStringValue(consulNode)}}
	for key, value := range recorded.GetMetadata().GetFields() {
		if key != "node_name" {
			metadata.Fields[key] = value
		}
	}
	return &corev3.Node{
		Id: id, Cluster: cluster, Metadata: metadata,
		UserAgentName: recorded.GetUserAgentName(), UserAgentVersionType: recorded.GetUserAgentVersionType(),
		Extensions: recorded.GetExtensions(), ClientFeatures: recorded.GetClientFeatures(),
	}, nil
}
