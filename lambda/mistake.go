package lambda

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Mistake is one wrong value in a function's tags or in an entry's Meta.
type Mistake struct {
	Subject string // the function's or the service's name
	Key     string // with its prefix, as it was read
	Value   string // as it was read
	Reason  string
}

// Error names subject, key, value and reason in one line.
func (m *Mistake) Error() string {
	if m.Value == "" {
		return fmt.Sprintf("%s: %s: %s", m.Subject, m.Key, m.Reason)
	}
	return fmt.Sprintf("%s: %s = %q: %s", m.Subject, m.Key, m.Value, m.Reason)
}

// Mistakes are the mistakes that a joined error holds, in their order.
func Mistakes(err error) []*Mistake {
	var mistakes []*Mistake
	var walk func(error)
	walk = func(err error) {
		var one *Mistake
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range joined.Unwrap() {
				walk(e)
			}
		} else if errors.As(err, &one) {
			mistakes = append(mistakes, one)
		}
	}
	walk(err)
	return mistakes
}

// pairs are the keys below a prefix of ours, cut off, with their values trimmed.
type pairs struct {
	subject  string
	values   map[string]string // by key without prefix
	original map[string]string // the key as it was read, by key without prefix
	errs     []error
	warnings []string
}

// readPairs sorts out what is ours. The prefix without the misprint wins where
// both are there.
func readPairs(subject string, all map[string]string) *pairs {
	p := &pairs{subject: subject, values: map[string]string{}, original: map[string]string{}}
	for _, prefix := range []string{alphaPrefix, Prefix} {
		for full, value := range all {
			key, ok := strings.CutPrefix(full, prefix)
			if !ok {
				continue
			}
			if prefix == alphaPrefix {
				p.warnings = append(p.warnings, fmt.Sprintf("%s: %s: the prefix is %s", subject, full, Prefix))
			}
			p.values[key] = strings.TrimSpace(value)
			p.original[key] = full
		}
	}
	return p
}

func (p *pairs) mistake(key, reason string) {
	full := p.original[key]
	if full == "" {
		full = Prefix + key
	}
	p.errs = append(p.errs, &Mistake{Subject: p.subject, Key: full, Value: p.values[key], Reason: reason})
}

// enabled reads the switch; present is false where the key is absent or wrong.
func (p *pairs) enabled() (enabled, present bool) {
	v, ok := p.values[KeyEnabled]
	if !ok {
		return false, false
	}
	enabled, err := parseBool(v)
	if err != nil {
		p.mistake(KeyEnabled, err.Error())
		return false, false
	}
	return enabled, true
}

// settings reads all settings into the function, and checks them together.
func (p *pairs) settings(f *Function) {
	for _, s := range Settings() {
		v, ok := p.values[s.Key]
		if !ok {
			continue
		}
		if err := s.set(f, v); err != nil {
			p.mistake(s.Key, err.Error())
		}
	}
	if f.ExternalID != "" && f.RoleARN == "" {
		p.mistake(KeyExternalID, "means nothing without "+KeyRoleARN)
	}
	if f.CredentialsProfile != "" && f.RoleARN != "" {
		p.mistake(KeyCredentialsProfile, "cannot be combined with "+KeyRoleARN)
	}
	p.ofURL(*f)
}

// unknown warns of keys that nobody reads: a slip of the pen would otherwise
// look like a setting that is in force.
func (p *pairs) unknown(known ...string) {
	for _, s := range Settings() {
		known = append(known, s.Key)
	}
	for key := range p.values {
		if !slices.Contains(known, key) {
			p.warnings = append(p.warnings, fmt.Sprintf("%s: %s: no such key, it is ignored", p.subject, p.original[key]))
		}
	}
	slices.Sort(p.warnings)
}

func (p *pairs) err() error {
	slices.SortFunc(p.errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(p.errs...)
}
