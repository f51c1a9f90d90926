package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// WriteYAML writes resources as YAML, a document each.
func WriteYAML(w io.Writer, resources []Resource) error {
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	for _, one := range resources {
		var text bytes.Buffer
		asJSON := json.NewEncoder(&text)
		asJSON.SetEscapeHTML(false)
		if err := asJSON.Encode(one); err != nil {
			return fmt.Errorf("writing %s: %w", one.Name, err)
		}
		var document yaml.Node
		if err := yaml.Unmarshal(text.Bytes(), &document); err != nil { // JSON is YAML
			return fmt.Errorf("writing %s: %w", one.Name, err)
		}
		inBlocks(&document)
		if err := enc.Encode(&document); err != nil {
			return fmt.Errorf("writing %s: %w", one.Name, err)
		}
	}
	return enc.Close()
}

// inBlocks gives a document that was JSON the form in which people write YAML.
func inBlocks(n *yaml.Node) {
	n.Style = 0
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" && strings.Contains(n.Value, "\n") {
		n.Style = yaml.LiteralStyle
	}
	for _, inner := range n.Content {
		inBlocks(inner)
	}
}
