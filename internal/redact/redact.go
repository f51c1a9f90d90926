// Package redact makes Envoy's resources readable for people: as JSON, in the form of
// Envoy's documentation, without what is secret in them. Consul's clusters carry the
// proxy's private key.
package redact

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/cncf/xds/go/udpa/annotations"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"

	// What Consul 1.22.5 puts into clusters, listeners and routes, and what the patch does.
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/aggregate/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/dns/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/aws_lambda/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/aws_request_signing/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_mutation/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_to_metadata/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/lua/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/upstream_codec/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/tls_inspector/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/rbac/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/sni_cluster/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/http/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
)

// hidden stands in the place of a secret, as in Envoy's own config_dump.
const hidden = "[redacted]"

// JSON is a resource without its secrets; the message stays as it is. Not shown are:
//
//   - fields that Envoy's API marks as sensitive (udpa.annotations.sensitive): private
//     keys, passwords, session keys, credentials; and those that are named so;
//   - text in PEM, wherever it stands, of which the kinds are told: an operator may have
//     put a key into metadata;
//   - Anys of a type that is not known here, and the contents of TypedStructs, since
//     nothing tells what is secret in them.
func JSON(m proto.Message) (json.RawMessage, error) {
	shown := proto.Clone(m)
	message(shown.ProtoReflect(), false)
	raw, err := protojson.Marshal(shown)
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", m.ProtoReflect().Descriptor().Name(), err)
	}
	var compact bytes.Buffer // protojson varies its spaces on purpose
	if err := json.Compact(&compact, raw); err != nil {
		return nil, fmt.Errorf("encoding %s: %w", m.ProtoReflect().Descriptor().Name(), err)
	}
	return compact.Bytes(), nil
}

// message redacts a message in place; secret says that it stands in a sensitive field.
func message(m protoreflect.Message, secret bool) {
	m.SetUnknown(nil)
	switch at := m.Interface().(type) {
	case *anypb.Any:
		packed(at, secret)
		return
	case proto.Message:
		name := at.ProtoReflect().Descriptor().FullName()
		if name == "xds.type.v3.TypedStruct" || name == "udpa.type.v1.TypedStruct" {
			m.Clear(m.Descriptor().Fields().ByName("value"))
		}
	}
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		secret := secret || isSensitive(field)
		switch {
		case field.IsList():
			list := value.List()
			for i := range list.Len() {
				if field.Message() != nil {
					message(list.Get(i).Message(), secret)
				} else {
					list.Set(i, scalar(field, list.Get(i), secret))
				}
			}
		case field.IsMap():
			entries := value.Map()
			entries.Range(func(key protoreflect.MapKey, entry protoreflect.Value) bool {
				if field.MapValue().Message() != nil {
					message(entry.Message(), secret)
				} else {
					entries.Set(key, scalar(field.MapValue(), entry, secret))
				}
				return true
			})
		case field.Message() != nil:
			message(value.Message(), secret)
		default:
			m.Set(field, scalar(field, value, secret))
		}
		return true
	})
}

// packed redacts what is in an Any.
func packed(a *anypb.Any, secret bool) {
	inner, err := a.UnmarshalNew()
	if err == nil {
		message(inner.ProtoReflect(), secret)
		err = a.MarshalFrom(inner)
	}
	if err == nil {
		return
	}
	unknown, _ := structpb.NewStruct(map[string]any{"type": a.GetTypeUrl(), "content": "[not known here, so not shown]"})
	_ = a.MarshalFrom(unknown)
}

// scalar is a value without what is secret in it; a number in a sensitive field is 0.
func scalar(field protoreflect.FieldDescriptor, value protoreflect.Value, secret bool) protoreflect.Value {
	switch field.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(text(value.String(), secret))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte(text(string(value.Bytes()), secret)))
	}
	if secret {
		return field.Default()
	}
	return value
}

var pem = regexp.MustCompile(`-----BEGIN ([A-Z0-9 ]*)`)

func text(s string, secret bool) string {
	if secret {
		return hidden
	}
	blocks := pem.FindAllStringSubmatch(s, -1)
	if blocks == nil {
		return s
	}
	kinds := make([]string, len(blocks))
	for i, block := range blocks {
		kinds[i] = strings.TrimSpace(block[1])
	}
	return "[PEM, not shown: " + strings.Join(kinds, ", ") + "]"
}

// named are fields that hold a secret by their name. Not all of them are marked: the
// credentials of aws_lambda are not (1.40.0).
var named = regexp.MustCompile(`secret|password|private_key|token$`)

func isSensitive(field protoreflect.FieldDescriptor) bool {
	marked, _ := proto.GetExtension(field.Options(), annotations.E_Sensitive).(bool)
	isText := field.Kind() == protoreflect.StringKind || field.Kind() == protoreflect.BytesKind
	return marked || isText && named.MatchString(string(field.Name()))
}
