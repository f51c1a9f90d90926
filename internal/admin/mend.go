package admin

import (
	"fmt"
	"strings"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// keeper is who writes an entry.
type keeper int

const (
	keptByNobodyKnown keeper = iota // the entry could not be read
	keptByRegistrator
	keptByHand
)

// mend says how a mistake in a service's entry is mended; empty where the mistake itself
// says all.
func (i Inspection) mend(s Service, mistake string) string {
	kept := keptByNobodyKnown
	if i.Entry != nil && i.Entry.Error == "" {
		if kept = keptByHand; i.Entry.Managed {
			kept = keptByRegistrator
		}
	}
	return mend(s, mistake, kept)
}

func mend(s Service, mistake string, kept keeper) string {
	if strings.Contains(mistake, "--allow-") {
		return "name it in that flag of each lambdamesh serve, or have another one written"
	}
	if strings.Contains(mistake, "Protocol") {
		return fmt.Sprintf(`write Protocol = "http" into service-defaults %s, or into proxy-defaults global: consul config write FILE`, s.Name)
	}
	_, rest, found := strings.Cut(mistake, lambda.Prefix)
	if !found {
		return ""
	}
	key := rest
	if end := strings.IndexAny(rest, " :="); end >= 0 {
		key = rest[:end]
	}
	what := key
	if values := valuesOf(key); values != "" {
		what += " (" + values + ")"
	}
	tag := fmt.Sprintf("correct the function's tag %s", what)
	if s.ARN != "" {
		tag += fmt.Sprintf(`: aws lambda tag-resource --resource %s --tags '{"%s%s": "VALUE"}'`, unqualified(s.ARN), lambda.Prefix, key)
	}
	entry := fmt.Sprintf("correct %s in the Meta of service-defaults %s: consul config write FILE", what, s.Name)
	switch kept {
	case keptByRegistrator:
		return tag
	case keptByHand:
		return entry
	}
	return "where a registrator keeps the entry, " + tag + "; else " + entry
}

// valuesOf is what a key may be; empty for one that nobody reads.
func valuesOf(key string) string {
	switch key {
	case lambda.KeyEnabled:
		return "true, false"
	case lambda.KeyARN:
		return "the function's ARN"
	case lambda.KeyRegion:
		return "that of the ARN, or leave it out"
	}
	for _, setting := range lambda.Settings() {
		if setting.Key == key {
			return setting.Values
		}
	}
	return ""
}

// unqualified is the ARN that AWS keeps tags for: an alias has none of its own.
func unqualified(arn string) string {
	parsed, err := lambda.ParseARN(arn)
	if err != nil {
		return arn
	}
	return parsed.Unqualified().String()
}
