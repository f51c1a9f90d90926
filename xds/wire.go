package xds

import (
	"fmt"
	"strings"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// response is a DeltaDiscoveryResponse taken apart as far as the relay must
// understand it. Resources stay as they came: each is a part of the frame, and what
// is not named here is carried along in rest.
type response struct {
	typeURL   string
	nonce     string
	resources []resource
	removed   []string
	rest      []byte // every other field, tag and value, in the order of arrival
}

// resource is one Resource of a response. Its slices lie in the frame that it came
// in, and keep it in memory.
type resource struct {
	name    string
	version string

	// field is the resource as it came: the field of the response, with its tag. It is
	// nil for a resource of ours, of which body is all there is.
	field []byte

	body []byte // the value of its Any: the encoded cluster, listener, ...

	known *known // what the session knows of it, once it has looked that up
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

// fields walks over the fields of an encoded message:
//
//	for f := (fields{rest: b}); f.next(); {
//
// It allocates nothing. After the last field, err says whether the encoding is
// sound.
type fields struct {
	rest []byte // what is left to read
	err  error

	num   protowire.Number
	typ   protowire.Type
	value []byte // of strings, bytes and messages; empty for numbers
	field []byte // the whole field, tag included
}

func (f *fields) next() bool {
	if len(f.rest) == 0 || f.err != nil {
		return false
	}
	num, typ, n := protowire.ConsumeTag(f.rest)
	if n < 0 {
		f.err = protowire.ParseError(n)
		return false
	}
	f.num, f.typ, f.value = num, typ, nil
	size := 0
	if typ == protowire.BytesType {
		f.value, size = protowire.ConsumeBytes(f.rest[n:])
	} else {
		size = protowire.ConsumeFieldValue(num, typ, f.rest[n:])
	}
	if size < 0 {
		f.err = protowire.ParseError(size)
		return false
	}
	f.field, f.rest = f.rest[:n+size], f.rest[n+size:]
	return true
}

// is reports whether the field is this one, and a string, bytes or a message.
func (f *fields) is(num protowire.Number) bool {
	return f.num == num && f.typ == protowire.BytesType
}

// parseResponse takes a frame apart. The response refers to the frame's memory. The
// number of allocations does not grow with the number of resources.
func parseResponse(frame []byte) (*response, error) {
	r := &response{}
	resources, removed := 0, 0
	f := fields{rest: frame}
	for f.next() {
		switch {
		case f.is(responseResources):
			resources++
		case f.is(responseRemoved):
			removed++
		case f.is(responseTypeURL):
			r.typeURL = string(f.value)
		case f.is(responseNonce):
			r.nonce = string(f.value)
		default:
			r.rest = append(r.rest, f.field...)
		}
	}
	if f.err != nil {
		return nil, fmt.Errorf("reading a delta response: %w", f.err)
	}
	if resources > 0 {
		r.resources = make([]resource, 0, resources)
	}
	if removed > 0 {
		r.removed = make([]string, 0, removed)
	}
	words := words{left: resources}
	for f = (fields{rest: frame}); f.next(); {
		switch {
		case f.is(responseResources):
			res, err := words.resource(f.value)
			if err != nil {
				return nil, fmt.Errorf("reading a resource of a delta response: %w", err)
			}
			res.field = f.field
			r.resources = append(r.resources, res)
		case f.is(responseRemoved):
			r.removed = append(r.removed, string(f.value))
		}
	}
	return r, nil
}

// words makes the names and versions of a response's resources, of which so many
// are left to come: in one piece of memory, since they are about equally long.
type words struct {
	left  int
	space strings.Builder
}

func (w *words) resource(raw []byte) (res resource, err error) {
	var name, version []byte
	f := fields{rest: raw}
	for f.next() {
		switch {
		case f.is(resourceVersion):
			version = f.value
		case f.is(resourceName):
			name = f.value
		case f.is(resourceAny):
			inner := fields{rest: f.value}
			for inner.next() {
				if inner.is(anyValue) {
					res.body = inner.value
				}
			}
			if inner.err != nil {
				return res, inner.err
			}
		}
	}
	if f.err != nil {
		return res, f.err
	}
	size := len(name) + len(version)
	if w.space.Cap()-w.space.Len() < size {
		w.space = strings.Builder{}
		w.space.Grow(size * w.left * 5 / 4)
	}
	w.left--
	at := w.space.Len()
	w.space.Write(name)
	w.space.Write(version)
	both := w.space.String()[at:]
	res.name, res.version = both[:len(name)], both[len(name):]
	return res, nil
}

// raw is the encoded Resource as it came.
func (r *resource) raw() []byte {
	_, _, n := protowire.ConsumeTag(r.field)
	raw, _ := protowire.ConsumeBytes(r.field[n:])
	return raw
}

// newResource is a resource of ours.
func newResource(name, version string, body []byte) resource {
	return resource{name: name, version: version, body: body}
}

// frame encodes the response by reference to what it is made of. Resources that lay
// side by side when they came leave in one piece.
func (r *response) frame() mem.BufferSlice {
	own := make([]byte, 0, r.ownSize())
	own = append(own, r.rest...)
	own = appendString(own, responseTypeURL, r.typeURL)
	own = appendString(own, responseNonce, r.nonce)
	for _, name := range r.removed {
		own = protowire.AppendTag(own, responseRemoved, protowire.BytesType)
		own = protowire.AppendString(own, name)
	}
	var out splice
	out.add(own)
	for i := range r.resources {
		res := &r.resources[i]
		if res.field != nil {
			out.add(res.field)
			continue
		}
		at := len(own)
		own = r.appendHead(own, res)
		out.add(own[at:])
		out.add(res.body)
		at = len(own)
		own = appendString(own, resourceName, res.name)
		out.add(own[at:])
	}
	return out.done()
}

// ownSize is how much of the frame is not taken over from elsewhere.
func (r *response) ownSize() int {
	const perField = 1 + 10 // a tag, and a length at its longest
	size := len(r.rest) + len(r.typeURL) + len(r.nonce) + 2*perField
	for _, name := range r.removed {
		size += len(name) + perField
	}
	for i := range r.resources {
		if res := &r.resources[i]; res.field == nil {
			size += len(res.version) + len(r.typeURL) + len(res.name) + 6*perField
		}
	}
	return size
}

// appendHead encodes a resource of ours up to its body; its name comes after that.
func (r *response) appendHead(b []byte, res *resource) []byte {
	value := protowire.SizeTag(anyValue) + protowire.SizeBytes(len(res.body))
	any := sizeString(anyTypeURL, r.typeURL) + value
	whole := sizeString(resourceVersion, res.version) + protowire.SizeTag(resourceAny) + protowire.SizeBytes(any) +
		sizeString(resourceName, res.name)
	b = protowire.AppendTag(b, responseResources, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(whole))
	b = appendString(b, resourceVersion, res.version)
	b = protowire.AppendTag(b, resourceAny, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(any))
	b = appendString(b, anyTypeURL, r.typeURL)
	b = protowire.AppendTag(b, anyValue, protowire.BytesType)
	return protowire.AppendVarint(b, uint64(len(res.body)))
}

// appendString encodes a string that need not be there when it is empty.
func appendString(b []byte, num protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	b = protowire.AppendTag(b, num, protowire.BytesType)
	return protowire.AppendString(b, s)
}

func sizeString(num protowire.Number, s string) int {
	if s == "" {
		return 0
	}
	return protowire.SizeTag(num) + protowire.SizeBytes(len(s))
}

// splice puts a message together out of pieces, which must not be changed any more.
type splice struct {
	out mem.BufferSlice
	run []byte
}

func (s *splice) add(piece []byte) {
	switch n := len(s.run); {
	case len(piece) == 0:
	case n > 0 && cap(s.run) > n && &s.run[:n+1][n] == &piece[0]:
		s.run = s.run[:n+len(piece)] // it lies right behind
	default:
		s.flush()
		s.run = piece
	}
}

func (s *splice) flush() {
	if len(s.run) > 0 {
		s.out = append(s.out, mem.SliceBuffer(s.run))
		s.run = nil
	}
}

func (s *splice) done() mem.BufferSlice {
	s.flush()
	return s.out
}
