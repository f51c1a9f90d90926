package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
)

// parameterStore is what is used of Parameter Store.
type parameterStore interface {
	GetParameter(context.Context, *ssm.GetParameterInput, ...func(*ssm.Options)) (*ssm.GetParameterOutput, error)
}

// secrets are what Parameter Store has for us. They are kept in memory alone.
type secrets struct {
	token string
	ca    string // PEM
}

// readSecrets reads those that the settings name. A parameter that is there and empty
// is an error: Consul would be spoken to without a token.
func (s settings) readSecrets(ctx context.Context, store parameterStore) (secrets, error) {
	var found secrets
	for _, wanted := range []struct {
		variable, path string
		to             *string
	}{
		{"CONSUL_HTTP_TOKEN_PATH", s.tokenPath, &found.token},
		{"CONSUL_CACERT_PATH", s.caPath, &found.ca},
	} {
		if wanted.path == "" {
			continue
		}
		out, err := store.GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String(wanted.path), WithDecryption: aws.Bool(true)})
		if err == nil && (out.Parameter == nil || aws.ToString(out.Parameter.Value) == "") {
			err = errors.New("it is empty")
		}
		if err != nil {
			return secrets{}, fmt.Errorf("%s: reading the parameter %s: %w", wanted.variable, wanted.path, err)
		}
		*wanted.to = *out.Parameter.Value
	}
	return found, nil
}
