package main

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-go/tfprotov5"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// server answers what Terraform asks to validate. All else comes after
// ConfigureProvider, which is refused.
type server struct {
	tfprotov5.ProviderServer // nil
	schemas                  *tfprotov5.GetProviderSchemaResponse
}

func (s *server) GetMetadata(context.Context, *tfprotov5.GetMetadataRequest) (*tfprotov5.GetMetadataResponse, error) {
	found := &tfprotov5.GetMetadataResponse{ServerCapabilities: s.schemas.ServerCapabilities}
	for name := range s.schemas.ResourceSchemas {
		found.Resources = append(found.Resources, tfprotov5.ResourceMetadata{TypeName: name})
	}
	for name := range s.schemas.DataSourceSchemas {
		found.DataSources = append(found.DataSources, tfprotov5.DataSourceMetadata{TypeName: name})
	}
	return found, nil
}

func (s *server) GetProviderSchema(context.Context, *tfprotov5.GetProviderSchemaRequest) (*tfprotov5.GetProviderSchemaResponse, error) {
	return s.schemas, nil
}

func (s *server) GetResourceIdentitySchemas(context.Context, *tfprotov5.GetResourceIdentitySchemasRequest) (*tfprotov5.GetResourceIdentitySchemasResponse, error) {
	return &tfprotov5.GetResourceIdentitySchemasResponse{}, nil
}

func (s *server) ConfigureProvider(context.Context, *tfprotov5.ConfigureProviderRequest) (*tfprotov5.ConfigureProviderResponse, error) {
	return &tfprotov5.ConfigureProviderResponse{Diagnostics: []*tfprotov5.Diagnostic{{
		Severity: tfprotov5.DiagnosticSeverityError,
		Summary:  "This provider is a schema with nothing behind it",
		Detail:   "A test that plans or applies needs a mock_provider \"aws\" block.",
	}}}, nil
}

func (s *server) PrepareProviderConfig(_ context.Context, r *tfprotov5.PrepareProviderConfigRequest) (*tfprotov5.PrepareProviderConfigResponse, error) {
	return &tfprotov5.PrepareProviderConfigResponse{PreparedConfig: r.Config}, nil
}

// ValidateResourceTypeConfig refuses what can only be read: Terraform leaves that to
// providers.
func (s *server) ValidateResourceTypeConfig(_ context.Context, r *tfprotov5.ValidateResourceTypeConfigRequest) (*tfprotov5.ValidateResourceTypeConfigResponse, error) {
	described := s.schemas.ResourceSchemas[r.TypeName]
	config, err := r.Config.Unmarshal(described.ValueType())
	if err != nil {
		return nil, fmt.Errorf("reading the configuration of %s: %w", r.TypeName, err)
	}
	var values map[string]tftypes.Value
	if err := config.As(&values); err != nil {
		return nil, fmt.Errorf("reading the configuration of %s: %w", r.TypeName, err)
	}
	answer := &tfprotov5.ValidateResourceTypeConfigResponse{}
	for _, a := range described.Block.Attributes {
		if !a.Required && !a.Optional && !values[a.Name].IsNull() {
			answer.Diagnostics = append(answer.Diagnostics, &tfprotov5.Diagnostic{
				Severity:  tfprotov5.DiagnosticSeverityError,
				Summary:   "Not an argument",
				Detail:    fmt.Sprintf("%q can only be read.", a.Name),
				Attribute: tftypes.NewAttributePath().WithAttributeName(a.Name),
			})
		}
	}
	return answer, nil
}

func (s *server) ValidateDataSourceConfig(context.Context, *tfprotov5.ValidateDataSourceConfigRequest) (*tfprotov5.ValidateDataSourceConfigResponse, error) {
	return &tfprotov5.ValidateDataSourceConfigResponse{}, nil
}

func (s *server) StopProvider(context.Context, *tfprotov5.StopProviderRequest) (*tfprotov5.StopProviderResponse, error) {
	return &tfprotov5.StopProviderResponse{}, nil
}
