package xds

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// response is a DeltaDiscoveryResponse taken apart as far as the relay must
// understand it. Resources stay as they came: each holds its own encoding, and
// what is not named here is carried along in rest.
type response struct {
	typeURL   string
	nonce     string
	resources []resource
	removed   []string
	rest      []byte // every other field, tag and value, in the order of arrival
}

// resource is one Resource of a response. Its slices lie in the frame that it
// came in: clone what is to be kept.
type resource struct {
	name    string
	version string
	raw     []byte // the encoded Resource
	body    []byte // the value of its Any: the encoded cluster, listener, ...
}

// Field numbers of envoy/service/discovery/v3/discovery.proto.
const (
	responseResources = 2
	responseTypeURL   = 4
	responseNonce     = 5
	responseRemoved   = 6

	resourceVersion = 1
	resourceAny     = 2
	resourceName    = 3

	anyTypeURL = 1
	anyValue   = 2
)

// scan walks over the fields of a message; each gets what bytes its value has
// (empty for numbers) and the whole field, tag included.
func scan(b []byte, each func(num protowire.Number, typ protowire.Type, value, field []byte) error) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		size := protowire.ConsumeFieldValue(num, typ, b[n:])
		if size < 0 {
			return protowire.ParseError(size)
		}
		var value []byte
		if typ == protowire.BytesType {
			value, _ = protowire.ConsumeBytes(b[n:])
		}
		if err := each(num, typ, value, b[:n+size]); err != nil {
			return err
		}
		b = b[n+size:]
	}
	return nil
}

// parseResponse takes a frame apart. The response refers to the frame's memory.
func parseResponse(frame []byte) (*response, error) {
	r := &response{}
	err := scan(frame, func(num protowire.Number, typ protowire.Type, value, field []byte) error {
		if typ != protowire.BytesType {
			r.rest = append(r.rest, field...)
			return nil
		}
		switch num {
		case responseResources:
			res, err := parseResource(value)
			if err != nil {
				return err
			}
			r.resources = append(r.resources, res)
		case responseTypeURL:
			r.typeURL = string(value)
		case responseNonce:
			r.nonce = string(value)
		case responseRemoved:
			r.removed = append(r.removed, string(value))
		default:
			r.rest = append(r.rest, field...)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading a delta response: %w", err)
	}
	return r, nil
}

func parseResource(raw []byte) (resource, error) {
	res := resource{raw: raw}
	err := scan(raw, func(num protowire.Number, typ protowire.Type, value, _ []byte) error {
		if typ != protowire.BytesType {
			return nil
		}
		switch num {
		case resourceVersion:
			res.version = string(value)
		case resourceName:
			res.name = string(value)
		case resourceAny:
			return scan(value, func(num protowire.Number, typ protowire.Type, value, _ []byte) error {
				if num == anyValue && typ == protowire.BytesType {
					res.body = value
				}
				return nil
			})
		}
		return nil
	})
	return res, err
}

// newResource encodes a resource of ours.
func newResource(typeURL, name, version string, body []byte) resource {
	any := protowire.AppendTag(nil, anyTypeURL, protowire.BytesType)
	any = protowire.AppendString(any, typeURL)
	any = protowire.AppendTag(any, anyValue, protowire.BytesType)
	any = protowire.AppendBytes(any, body)
	raw := protowire.AppendTag(nil, resourceVersion, protowire.BytesType)
	raw = protowire.AppendString(raw, version)
	raw = protowire.AppendTag(raw, resourceAny, protowire.BytesType)
	raw = protowire.AppendBytes(raw, any)
	raw = protowire.AppendTag(raw, resourceName, protowire.BytesType)
	raw = protowire.AppendString(raw, name)
	return resource{name: name, version: version, raw: raw, body: body}
}

// clone is a resource that does not hold on to the frame it came in.
func (r resource) clone() resource {
	c, err := parseResource(append([]byte(nil), r.raw...))
	if err != nil { // the same bytes were read before
		panic(err)
	}
	return c
}

// frame encodes the response.
func (r *response) frame() []byte {
	size := len(r.rest) + len(r.typeURL) + len(r.nonce) + 32
	for _, res := range r.resources {
		size += len(res.raw) + 8
	}
	for _, name := range r.removed {
		size += len(name) + 8
	}
	b := make([]byte, 0, size)
	b = append(b, r.rest...)
	for _, res := range r.resources {
		b = protowire.AppendTag(b, responseResources, protowire.BytesType)
		b = protowire.AppendBytes(b, res.raw)
	}
	if r.typeURL != "" {
		b = protowire.AppendTag(b, responseTypeURL, protowire.BytesType)
		b = protowire.AppendString(b, r.typeURL)
	}
	if r.nonce != "" {
		b = protowire.AppendTag(b, responseNonce, protowire.BytesType)
		b = protowire.AppendString(b, r.nonce)
	}
	for _, name := range r.removed {
		b = protowire.AppendTag(b, responseRemoved, protowire.BytesType)
		b = protowire.AppendString(b, name)
	}
	return b
}
