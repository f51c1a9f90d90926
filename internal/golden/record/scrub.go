package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/lambdamesh/lambdamesh/internal/golden"
)

// trustDomain stands for the one that Consul invented for itself.
const trustDomain = "11111111-2222-3333-4444-555555555555.consul"

// scrubber encodes messages for a file and replaces what differs from one Consul to
// the next, or must not be in a file: the trust domain, certificates and keys.
func (s *server) scrubber() (func(proto.Message) (json.RawMessage, error), error) {
	roots, _, err := s.client.Agent().ConnectCARoots(nil)
	if err != nil {
		return nil, fmt.Errorf("reading the trust domain: %w", err)
	}
	if roots.TrustDomain == "" {
		return nil, fmt.Errorf("consul has no trust domain")
	}
	return func(m proto.Message) (json.RawMessage, error) {
		b, err := protojson.Marshal(m)
		if err != nil {
			return nil, fmt.Errorf("encoding %s: %w", m.ProtoReflect().Descriptor().Name(), err)
		}
		var v any
		if err := json.Unmarshal([]byte(strings.ReplaceAll(string(b), roots.TrustDomain, trustDomain)), &v); err != nil {
			return nil, err
		}
		b, err = json.Marshal(withoutPEM(v, ""))
		if err == nil && strings.Contains(string(b), "-----BEGIN") {
			err = fmt.Errorf("a certificate or a key is left")
		}
		return b, err
	}, nil
}

// withoutPEM replaces certificates and keys by references to testdata/pki; at is
// the field that the value stands in.
func withoutPEM(v any, at string) any {
	switch v := v.(type) {
	case string:
		switch {
		case !strings.Contains(v, "-----BEGIN"):
			return v
		case strings.Contains(v, "PRIVATE KEY"):
			return golden.Reference(golden.LeafKey)
		case at == "trustedCa":
			return golden.Reference(golden.CA)
		}
		return golden.Reference(golden.Leaf)
	case []any:
		for i := range v {
			v[i] = withoutPEM(v[i], at)
		}
	case map[string]any:
		for key := range v {
			in := key
			if key == "inlineString" {
				in = at
			}
			v[key] = withoutPEM(v[key], in)
		}
	}
	return v
}
