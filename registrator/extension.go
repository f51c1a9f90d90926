package registrator

import (
	"encoding/json"
	"slices"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// extension is one of an entry's EnvoyExtensions.
type extension struct {
	Name      string
	Arguments struct{ ARN string }

	raw json.RawMessage
}

// arn is the function that Consul's Lambda extension invokes; zero if it is
// another one, or does not say.
func (x extension) arn() lambda.ARN {
	if x.Name != lambda.ExtensionName {
		return lambda.ARN{}
	}
	arn, _ := lambda.ParseARN(x.Arguments.ARN)
	return arn
}

// extensions are the entry's; one that cannot be read has no name.
func (e *Entry) extensions() []extension {
	var raw []json.RawMessage
	_ = json.Unmarshal(e.EnvoyExtensions, &raw) // absent, or nothing of ours
	all := make([]extension, len(raw))
	for i := range raw {
		if json.Unmarshal(raw[i], &all[i]) != nil {
			all[i] = extension{}
		}
		all[i].raw = raw[i]
	}
	return all
}

// hasLambdaExtension reports that Consul's own Lambda extension is switched on in
// the entry.
func (e *Entry) hasLambdaExtension() bool {
	return slices.ContainsFunc(e.extensions(), func(x extension) bool { return x.Name == lambda.ExtensionName })
}

// extends reports whether Consul's Lambda extension for this function is the only
// extension of the entry.
func (e *Entry) extends(arn lambda.ARN) bool {
	all := e.extensions()
	return len(all) == 1 && all[0].arn() == arn
}

// withoutExtension is the entry without Consul's Lambda extension for this
// function; the entry itself if it has none.
func (e *Entry) withoutExtension(arn lambda.ARN) *Entry {
	all := e.extensions()
	rest := slices.DeleteFunc(slices.Clone(all), func(x extension) bool { return x.arn() == arn })
	if len(rest) == len(all) {
		return e
	}
	c := e.clone()
	delete(c.fields, "EnvoyExtensions")
	c.EnvoyExtensions = nil
	if len(rest) > 0 {
		raw := make([]json.RawMessage, len(rest))
		for i := range rest {
			raw[i] = rest[i].raw
		}
		c.set("EnvoyExtensions", raw)
		c.EnvoyExtensions = c.fields["EnvoyExtensions"]
	}
	return c
}
