package golden

import (
	"bytes"
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// JSON encodes a value in the layout of golden files: keys of maps sorted, two
// spaces, a newline at the end.
func JSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// Message encodes a proto for a golden file. The protos inside its Anys must be
// linked in. Strings that are a file of testdata/pki become "@pki/" and its name.
func Message(m proto.Message) (json.RawMessage, error) {
	b, err := protojson.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", m.ProtoReflect().Descriptor().Name(), err)
	}
	replace, err := pkiReplacer(false)
	if err != nil {
		return nil, err
	}
	// protojson varies its spaces on purpose; encoding/json does not.
	return rewrite(b, replace)
}

// ReadMessage decodes what Message made.
func ReadMessage(b []byte, into proto.Message) error {
	replace, err := pkiReplacer(true)
	if err != nil {
		return err
	}
	if b, err = rewrite(b, replace); err != nil {
		return err
	}
	if err := protojson.Unmarshal(b, into); err != nil {
		return fmt.Errorf("decoding %s: %w", into.ProtoReflect().Descriptor().Name(), err)
	}
	return nil
}

// rewrite changes each string value of a JSON text.
func rewrite(b []byte, replace func(string) string) (json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("reading JSON: %w", err)
	}
	var walk func(any) any
	walk = func(v any) any {
		switch v := v.(type) {
		case string:
			return replace(v)
		case []any:
			for i := range v {
				v[i] = walk(v[i])
			}
		case map[string]any:
			for key := range v {
				v[key] = walk(v[key])
			}
		}
		return v
	}
	return json.Marshal(walk(v))
}
