package lambda

import (
	"fmt"
	"slices"
	"strings"
)

// ExtensionName is Consul's own Lambda extension in the EnvoyExtensions of a
// service-defaults entry. Consul's registrator writes it, since 0.1.0-beta3, where we
// write Meta.
const ExtensionName = "builtin/aws/lambda"

// FromExtension reads the Arguments of Consul's own Lambda extension in the
// service-defaults entry of the service named:
//
//	ARN                 the function's; required
//	PayloadPassthrough  true or false (default)
//	InvocationMode      SYNCHRONOUS (default) or ASYNCHRONOUS, in any case
//
// All else is the default of a Function. A name counts in any case, as with Consul
// 1.22.5, and a name that nobody knows is passed over: Consul's registrator writes
// arn, invocationMode and payloadPassthrough. It writes the mode in capitals, as the tag has
// it; Consul takes every word but "asynchronous" for synchronous, and so has AWS wait where
// it should queue. Here the mode is what it says, and another word is a mistake. The
// error joins a *Mistake for each.
func FromExtension(service string, arguments map[string]any) (Function, error) {
	p := &pairs{subject: service, values: map[string]string{}, original: map[string]string{}}
	var f Function
	for _, one := range []struct {
		name string
		set  func(value string) error
	}{
		{"ARN", func(v string) (err error) { f.ARN, err = parseFunctionARN(v); return }},
		{"PayloadPassthrough", func(v string) (err error) { f.PayloadPassthrough, err = parseBool(v); return }},
		{"InvocationMode", func(v string) (err error) { f.Asynchronous, err = parseMode(v); return }},
	} {
		name, value := argument(arguments, one.name)
		p.original[one.name] = ExtensionArgument(name)
		text, ok := value.(string)
		switch flag, isBool := value.(bool); {
		case isBool:
			text, ok = fmt.Sprint(flag), true
		case value == nil:
			if one.name == "ARN" {
				p.mistake(one.name, "missing: the function's ARN")
			}
			continue
		case ok && text == "" && one.name == "InvocationMode":
			continue // as Consul's registrator writes what nobody set
		}
		p.values[one.name] = strings.TrimSpace(text)
		if !ok {
			p.mistake(one.name, fmt.Sprintf("neither text nor true or false, but %T", value))
		} else if err := one.set(p.values[one.name]); err != nil {
			p.mistake(one.name, err.Error())
		}
	}
	return f, p.err()
}

// ExtensionArgument is how a mistake names an argument of the extension.
func ExtensionArgument(name string) string { return "EnvoyExtensions " + ExtensionName + " " + name }

// argument finds an argument: the name as it is, else in another case.
func argument(arguments map[string]any, name string) (as string, value any) {
	if value, ok := arguments[name]; ok {
		return name, value
	}
	var spellings []string
	for key := range arguments {
		if strings.EqualFold(key, name) {
			spellings = append(spellings, key)
		}
	}
	if len(spellings) == 0 {
		return name, nil
	}
	as = slices.Min(spellings)
	return as, arguments[as]
}
