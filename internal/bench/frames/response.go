package frames

import (
	"errors"
	"iter"

	"google.golang.org/protobuf/encoding/protowire"
)

// Field numbers of envoy/service/discovery/v3/discovery.proto, in
// DeltaDiscoveryResponse, and in Resource below it.
const (
	FieldResources = 2
	FieldTypeURL   = 4
	FieldNonce     = 5
	FieldRemoved   = 6

	fieldVersion  = 1
	fieldResource = 2
	fieldName     = 3

	fieldAnyValue = 2
)

// The type URLs that are spoken of.
const (
	Clusters  = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	Endpoints = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
	Listeners = "type.googleapis.com/envoy.config.listener.v3.Listener"
)

// Response is a DeltaDiscoveryResponse of which only the ends are read.
type Response struct {
	TypeURL string
	Nonce   string
	Frame   Frame
}

// ErrGarbled says that a frame is no DeltaDiscoveryResponse.
var ErrGarbled = errors.New("a response is garbled")

// Read reads a frame's ends. The Response holds the frame.
func Read(f Frame) (*Response, error) {
	r := &Response{Frame: f}
	sound := Each(f, func(field protowire.Number, _ uint64, value []byte) bool {
		switch field {
		case FieldTypeURL:
			r.TypeURL = string(value)
		case FieldNonce:
			r.Nonce = string(value)
		}
		return true
	})
	if !sound || r.TypeURL == "" || r.Nonce == "" {
		return nil, ErrGarbled
	}
	return r, nil
}

// Resource is one resource of a response. Body is its encoding, in the frame.
type Resource struct {
	Name    string
	Version string
	Body    []byte
}

// Resources are those of the response.
func (r *Response) Resources() iter.Seq[Resource] {
	return func(yield func(Resource) bool) {
		Each(r.Frame, func(field protowire.Number, _ uint64, value []byte) bool {
			return field != FieldResources || yield(Resource{
				Name:    string(At(value, fieldName)),
				Version: string(At(value, fieldVersion)),
				Body:    At(value, fieldResource, fieldAnyValue),
			})
		})
	}
}

// Removed are the names of resources that the response takes away.
func (r *Response) Removed() (names []string) {
	Each(r.Frame, func(field protowire.Number, _ uint64, value []byte) bool {
		if field == FieldRemoved {
			names = append(names, string(value))
		}
		return true
	})
	return names
}
