package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/terraform-plugin-go/tfprotov5"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/lambdamesh/lambdamesh/tools/terraform/schema"
)

var nesting = map[string]tfprotov5.SchemaNestedBlockNestingMode{
	"single": tfprotov5.SchemaNestedBlockNestingModeSingle,
	"list":   tfprotov5.SchemaNestedBlockNestingModeList,
	"set":    tfprotov5.SchemaNestedBlockNestingModeSet,
}

// read makes a provider's answer of a schema's file.
func read(data []byte) (*tfprotov5.GetProviderSchemaResponse, error) {
	var described schema.Provider
	if err := json.Unmarshal(data, &described); err != nil {
		return nil, fmt.Errorf("reading the schema: %w", err)
	}
	provider, err := block(described.Provider)
	if err != nil {
		return nil, fmt.Errorf("the provider: %w", err)
	}
	answer := &tfprotov5.GetProviderSchemaResponse{
		ServerCapabilities: &tfprotov5.ServerCapabilities{},
		Provider:           &tfprotov5.Schema{Block: provider},
		ResourceSchemas:    map[string]*tfprotov5.Schema{},
		DataSourceSchemas:  map[string]*tfprotov5.Schema{},
	}
	for _, kind := range []struct {
		from map[string]schema.Block
		to   map[string]*tfprotov5.Schema
	}{{described.Resources, answer.ResourceSchemas}, {described.DataSources, answer.DataSourceSchemas}} {
		for name, of := range kind.from {
			made, err := block(of)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			kind.to[name] = &tfprotov5.Schema{Block: made}
		}
	}
	return answer, nil
}

func block(of schema.Block) (*tfprotov5.SchemaBlock, error) {
	made := &tfprotov5.SchemaBlock{}
	for _, name := range slices.Sorted(maps.Keys(of.Attributes)) {
		a := of.Attributes[name]
		kind, err := tftypes.ParseJSONType(a.Type) //nolint:staticcheck // the form of "terraform providers schema -json"
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		made.Attributes = append(made.Attributes, &tfprotov5.SchemaAttribute{
			Name: name, Type: kind, Required: a.Required, Optional: a.Optional, Computed: a.Computed,
		})
	}
	for _, name := range slices.Sorted(maps.Keys(of.Blocks)) {
		b := of.Blocks[name]
		inner, err := block(b.Block)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		made.BlockTypes = append(made.BlockTypes, &tfprotov5.SchemaNestedBlock{
			TypeName: name, Block: inner, Nesting: nesting[b.Nesting], MinItems: b.MinItems, MaxItems: b.MaxItems,
		})
	}
	return made, nil
}
