package lambda

import (
	"slices"
	"strings"
)

// Tagged is what a function's tags ask for.
type Tagged struct {
	Function   Function // its ARN is the function's own, without qualifier
	Enabled    bool
	Aliases    []string // sorted, without doubles
	Namespace  string   // empty: default
	Partition  string   // empty: default
	Datacenter string   // empty: any
	Warnings   []string // what works, but should be mended; sorted
}

// EnabledTags are the keys of which a function has one, or both, that is to be in
// the mesh: with the right prefix and with the mistaken one that FromTags reads too.
func EnabledTags() []string { return []string{Prefix + KeyEnabled, alphaPrefix + KeyEnabled} }

// IsTag reports whether FromTags reads a tag with this key.
func IsTag(key string) bool {
	return strings.HasPrefix(key, Prefix) || strings.HasPrefix(key, alphaPrefix)
}

// FromTags reads the tags of the function with this ARN. found is false if none
// of them is ours. The error joins a *Mistake for each wrong value; it says
// nothing about whether the function is wanted, so nothing may be deleted for it.
func FromTags(arn ARN, tags map[string]string) (tagged Tagged, found bool, err error) {
	p := readPairs(arn.Name, tags)
	if len(p.values) == 0 {
		return Tagged{}, false, nil
	}
	tagged.Function.ARN = arn.Unqualified()
	tagged.Enabled, _ = p.enabled()
	p.settings(&tagged.Function)
	if v, ok := p.values[KeyAliases]; ok {
		tagged.Aliases = strings.Split(v, "+")
		for i, alias := range tagged.Aliases {
			tagged.Aliases[i] = strings.TrimSpace(alias)
			if !aliasForm.MatchString(tagged.Aliases[i]) {
				p.mistake(KeyAliases, "not names of aliases separated by +")
				break
			}
		}
		slices.Sort(tagged.Aliases)
		tagged.Aliases = slices.Compact(tagged.Aliases)
	}
	if len(tagged.Aliases) > 0 && tagged.Function.FunctionURL != "" {
		p.mistake(KeyURL, "cannot be combined with "+KeyAliases+": each alias has a URL of its own, which a registrator asks AWS for")
	}
	for key, to := range map[string]*string{
		KeyNamespace:  &tagged.Namespace,
		KeyPartition:  &tagged.Partition,
		KeyDatacenter: &tagged.Datacenter,
	} {
		v, ok := p.values[key]
		if !ok {
			continue
		}
		if !nameForm.MatchString(v) {
			p.mistake(key, "not a name that Consul takes")
		}
		*to = v
	}
	p.unknown(KeyEnabled, KeyAliases, KeyNamespace, KeyPartition, KeyDatacenter)
	tagged.Warnings = p.warnings
	return tagged, true, p.err()
}

// Services are the names and functions that an enabled function becomes: itself,
// and NAME-ALIAS with a qualified ARN for each alias.
func (t Tagged) Services() map[ServiceName]Function {
	name := t.Function.ARN.Name
	services := map[ServiceName]Function{NewServiceName(name, t.Namespace, t.Partition): t.Function}
	for _, alias := range t.Aliases {
		f := t.Function
		f.ARN = f.ARN.WithQualifier(alias)
		services[NewServiceName(name+"-"+alias, t.Namespace, t.Partition)] = f
	}
	return services
}
