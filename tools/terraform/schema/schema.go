// Package schema is the schema of a Terraform provider as a file, and how it is read
// out of the bindings that CDK Terrain makes of the provider (PyPI's
// cdktn-provider-aws): these have of each argument its name, its type and whether it
// is required, and no registry is asked.
package schema

import "encoding/json"

// Provider is a provider's schema. The names of the fields are those of "terraform
// providers schema -json", as far as it has them.
type Provider struct {
	Version     string           `json:"version"` // of the provider
	Source      string           `json:"source"`  // what it was read from
	Provider    Block            `json:"provider"`
	Resources   map[string]Block `json:"resource_schemas"`
	DataSources map[string]Block `json:"data_source_schemas"`
}

// Block is what may stand between two braces.
type Block struct {
	Attributes map[string]Attribute `json:"attributes,omitempty"`
	Blocks     map[string]Nested    `json:"block_types,omitempty"`
}

// Attribute is an argument, or what can only be read (Computed alone).
type Attribute struct {
	Type     json.RawMessage `json:"type"` // "string", ["list", "string"]
	Required bool            `json:"required,omitempty"`
	Optional bool            `json:"optional,omitempty"`
	Computed bool            `json:"computed,omitempty"`
}

// Nested is a block in a block.
type Nested struct {
	Nesting  string `json:"nesting_mode"` // single, list or set
	Block    Block  `json:"block"`
	MinItems int64  `json:"min_items,omitempty"`
	MaxItems int64  `json:"max_items,omitempty"` // 0: any number
}
