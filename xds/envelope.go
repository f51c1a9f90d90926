package xds

import (
	"fmt"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// request is a DeltaDiscoveryRequest taken apart without its Node: Envoy repeats
// that in each request (1.40.0: 61 kB), and only the first one counts.
type request struct {
	typeURL     string
	nonce       string
	subscribe   []string
	unsubscribe []string
	initial     []versionOf
	refusal     *status.Status // nil: none
	node        []byte         // encoded; nil: none
	rest        []byte         // every other field, tag and value
}

// acknowledges reports whether the request does nothing else.
func (r *request) acknowledges() bool {
	return r.nonce != "" && r.refusal == nil && len(r.subscribe) == 0 && len(r.unsubscribe) == 0
}

// versionOf is a resource that Envoy has, and its version.
type versionOf struct{ name, version string }

// Field numbers of envoy/service/discovery/v3/discovery.proto, and of the Node's
// field that is not needed.
const (
	requestNode        = 1
	requestTypeURL     = 2
	requestSubscribe   = 3
	requestUnsubscribe = 4
	requestInitial     = 5
	requestNonce       = 6
	requestError       = 7

	mapKey   = 1
	mapValue = 2

	nodeExtensions = 9
)

// parseRequest takes a frame apart.
func parseRequest(frame []byte) (*request, error) {
	r := &request{}
	f := fields{rest: frame}
	for f.next() {
		switch {
		case f.is(requestNode):
			r.node = f.value
		case f.is(requestTypeURL):
			r.typeURL = string(f.value)
		case f.is(requestSubscribe):
			r.subscribe = append(r.subscribe, string(f.value))
		case f.is(requestUnsubscribe):
			r.unsubscribe = append(r.unsubscribe, string(f.value))
		case f.is(requestInitial):
			var has versionOf
			entry := fields{rest: f.value}
			for entry.next() {
				switch {
				case entry.is(mapKey):
					has.name = string(entry.value)
				case entry.is(mapValue):
					has.version = string(entry.value)
				}
			}
			if entry.err != nil {
				return nil, fmt.Errorf("reading a delta request: %w", entry.err)
			}
			r.initial = append(r.initial, has)
		case f.is(requestNonce):
			r.nonce = string(f.value)
		case f.is(requestError):
			r.refusal = &status.Status{}
			if err := proto.Unmarshal(f.value, r.refusal); err != nil {
				return nil, fmt.Errorf("reading the error of a delta request: %w", err)
			}
		default:
			r.rest = append(r.rest, f.field...)
		}
	}
	if f.err != nil {
		return nil, fmt.Errorf("reading a delta request: %w", f.err)
	}
	return r, nil
}

// parseNode decodes a Node without its extensions: a list of all that Envoy was
// built with, which neither we nor Consul read.
func parseNode(encoded []byte) (*corev3.Node, error) {
	var slim []byte
	f := fields{rest: encoded}
	for f.next() {
		if f.num != nodeExtensions {
			slim = append(slim, f.field...)
		}
	}
	node := &corev3.Node{}
	if f.err == nil {
		f.err = proto.Unmarshal(slim, node)
	}
	if f.err != nil {
		return nil, fmt.Errorf("reading a Node: %w", f.err)
	}
	return node, nil
}

// packed is a Node that is not decoded: it is wanted once for each attachment, and takes
// a third of the memory in between.
func packed(node *corev3.Node) (*corev3.Node, error) {
	encoded, err := proto.Marshal(node)
	if err != nil {
		return nil, fmt.Errorf("encoding a Node: %w", err)
	}
	p := &corev3.Node{}
	p.ProtoReflect().SetUnknown(encoded)
	return p, nil
}

// withRest adds to a request for Consul what this program does not know of the
// one it follows from.
func withRest(req *discoveryv3.DeltaDiscoveryRequest, rest []byte) *discoveryv3.DeltaDiscoveryRequest {
	if len(rest) > 0 {
		req.ProtoReflect().SetUnknown(append(req.ProtoReflect().GetUnknown(), rest...))
	}
	return req
}

// isVarint reports whether the field is this one, and a number; then it is value.
func (f *fields) varint(num protowire.Number) (value uint64, ok bool) {
	if f.num != num || f.typ != protowire.VarintType {
		return 0, false
	}
	_, _, n := protowire.ConsumeTag(f.field)
	value, _ = protowire.ConsumeVarint(f.field[n:])
	return value, true
}
