package consul

import (
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/consul/api"
	"github.com/lambdamesh/lambdamesh/lambda"
)

// said is what a service-defaults entry says of Lambda.
type said struct {
	lambda.Entry
	source   lambda.Source
	extended bool // Consul's own extension is in it
}

// readEntry reads the Meta of an entry and Consul's own Lambda extension in it; found is
// false if neither is there. Where both are, the Meta counts: it says more, and is
// the only one that can switch a function off. What contradicts it in the extension
// is a warning, since Envoys that get their xDS from Consul itself go by that. But two
// different functions are a mistake: nobody can tell which one is meant.
func readEntry(e *api.ServiceConfigEntry) (read said, found bool, err error) {
	read.source = lambda.SourceMeta
	read.Entry, found, err = lambda.FromMeta(e.Name, e.Meta)
	extension, extended, wrong := readExtension(e)
	switch {
	case !extended:
		return read, found, err
	case !found:
		read.source, read.extended = lambda.SourceExtension, true
		read.Enabled, read.Function, read.Warnings = true, extension.function, extension.warnings
		return read, true, wrong
	}
	read.extended = true
	switch {
	case wrong != nil:
		for _, m := range lambda.Mistakes(wrong) {
			read.Warnings = append(read.Warnings, m.Error()+" (the Meta counts)")
		}
	case err == nil && extension.function.ARN != read.Function.ARN:
		err = &lambda.Mistake{
			Subject: e.Name, Key: lambda.ExtensionArgument("ARN"), Value: extension.function.ARN.String(),
			Reason: "another function than that of the Meta: take one of the two out of the entry",
		}
	default:
		read.Warnings = append(read.Warnings, contradictions(e.Name, read.Entry, extension.function)...)
	}
	return read, true, err
}

// contradictions are what the Meta says otherwise than the extension beside it.
func contradictions(service string, meta lambda.Entry, extension lambda.Function) []string {
	var keys []string
	for _, one := range []struct {
		key     string
		differs bool
	}{
		{lambda.KeyEnabled, !meta.Enabled},
		{lambda.KeyInvocationMode, meta.Function.Asynchronous != extension.Asynchronous},
		{lambda.KeyPayloadPassthrough, meta.Function.PayloadPassthrough != extension.PayloadPassthrough},
	} {
		if one.differs {
			keys = append(keys, one.key)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%s: the Meta's %s is otherwise in EnvoyExtensions %s; the Meta counts, except for Envoys that get their xDS from Consul itself",
		service, strings.Join(keys, ", "), lambda.ExtensionName)}
}

// extension is Consul's own Lambda extension in an entry.
type extension struct {
	function lambda.Function // whole only if the error beside it is nil
	warnings []string
}

// readExtension reads it; found is false if there is none. Its version constraints and
// Required say when and how Consul applies it, and nothing about the function: here they
// only show. The error joins mistakes.
func readExtension(e *api.ServiceConfigEntry) (read extension, found bool, err error) {
	required := false
	for _, x := range e.EnvoyExtensions {
		if x.Name != lambda.ExtensionName {
			continue
		}
		if found {
			// Consul puts a filter in for each, and both would invoke.
			return read, true, errors.Join(err, &lambda.Mistake{Subject: e.Name, Key: "EnvoyExtensions " + lambda.ExtensionName, Reason: "more than once"})
		}
		found, required = true, x.Required
		read.function, err = lambda.FromExtension(e.Name, x.Arguments)
		for _, one := range []struct{ key, constraint string }{{"ConsulVersion", x.ConsulVersion}, {"EnvoyVersion", x.EnvoyVersion}} {
			if one.constraint != "" {
				read.warnings = append(read.warnings, fmt.Sprintf("%s: %s = %q bounds what Consul itself does; the function is invoked whatever the version",
					e.Name, lambda.ExtensionArgument(one.key), one.constraint))
			}
		}
	}
	if err != nil && required {
		err = errors.Join(err, &lambda.Mistake{
			Subject: e.Name, Key: lambda.ExtensionArgument("Required"), Value: "true",
			Reason: "while it has a mistake, Consul may refuse all configuration to each Envoy that it concerns",
		})
	}
	return read, found, err
}
