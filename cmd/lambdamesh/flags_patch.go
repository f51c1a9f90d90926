package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"

	"github.com/lambdamesh/lambdamesh/lambda/patch"
	"github.com/spf13/pflag"
)

// patchFlags say where and how functions are invoked.
type patchFlags struct {
	endpointURL string
	caFile      string
	fips        bool
	dualStack   bool
	mode        string
	direct      string
	allowARNs   []string
	allowRoles  []string
}

func (f *patchFlags) declare(flags *pflag.FlagSet) {
	flags.StringVar(&f.endpointURL, "lambda-endpoint-url", "", "send invocations here instead of AWS's own endpoint (VPC endpoint, emulator; default AWS_ENDPOINT_URL_LAMBDA)")
	fallBack(flags, "lambda-endpoint-url", "AWS_ENDPOINT_URL_LAMBDA")
	flags.StringVar(&f.caFile, "lambda-ca-file", "", "PEM bundle that Envoys must trust for that endpoint (default Amazon's roots)")
	flags.BoolVar(&f.fips, "lambda-fips", false, "use AWS's FIPS endpoints")
	fallBack(flags, "lambda-fips", "AWS_USE_FIPS_ENDPOINT")
	flags.BoolVar(&f.dualStack, "lambda-dualstack", false, "use AWS's dual-stack endpoints")
	fallBack(flags, "lambda-dualstack", "AWS_USE_DUALSTACK_ENDPOINT")
	flags.StringSliceVar(&f.allowARNs, "allow-arns", nil, "globs of the ARNs, and with https:// of the function URLs, that may be invoked, by commas; * does not reach over a colon (default all)")
	flags.StringSliceVar(&f.allowRoles, "allow-roles", nil, "globs of the roles that functions may have assumed, by commas (default none)")
	choiceVar(flags, &f.mode, "patch-mode", "where the Lambda filter is put: into the cluster (Envoy 1.31 and later), or into the listener (1.30)",
		string(patch.ModeAuto), string(patch.ModeCluster), string(patch.ModeListener))
	choiceVar(flags, &f.direct, "direct", "when a sidecar invokes a function without a terminating gateway",
		string(patch.DirectAuto), string(patch.DirectAutoFailover), string(patch.DirectNever))
}

// options reads and checks what the patch needs.
func (f *patchFlags) options() (patch.Options, error) {
	if f.allowARNs != nil && len(f.allowARNs) == 0 { // a variable of a script that was not set would else allow all
		return patch.Options{}, errors.New("--allow-arns: no glob; leave it out to have all functions invoked")
	}
	options := patch.Options{
		EndpointURL: f.endpointURL, FIPS: f.fips, DualStack: f.dualStack, Direct: patch.Direct(f.direct),
		AllowARNs: f.allowARNs, AllowRoles: f.allowRoles,
		Mode: patch.Mode(f.mode),
	}
	if f.caFile != "" {
		pem, err := os.ReadFile(f.caFile)
		if err != nil {
			return patch.Options{}, badValue("lambda-ca-file", err)
		}
		if len(pem) == 0 {
			return patch.Options{}, fmt.Errorf("--lambda-ca-file: %s is empty", f.caFile)
		}
		options.CAs = pem
	}
	if err := cmp.Or(named("allow-arns", options.AllowARNs.Validate()), named("allow-roles", options.AllowRoles.Validate())); err != nil {
		return patch.Options{}, err
	}
	if err := options.Validate(); err != nil {
		return patch.Options{}, fmt.Errorf("--lambda-*: %w", err)
	}
	return options, nil
}

// named is the error for a value of a flag; nil stays nil.
func named(flag string, err error) error {
	if err == nil {
		return nil
	}
	return badValue(flag, err)
}
