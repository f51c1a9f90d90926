package lambda

import "errors"

// Entry is what the Meta of a service-defaults entry says.
type Entry struct {
	Function Function // whole only if the error beside it is nil
	Enabled  bool
	Warnings []string // what works, but should be mended; sorted
}

// FromMeta reads the Meta of the service-defaults entry of the service named.
// found is false if no key of it is ours. The error joins a *Mistake for each
// wrong value; a service with a mistake is never invoked. A disabled entry's
// mistakes are reported all the same.
func FromMeta(service string, meta map[string]string) (entry Entry, found bool, err error) {
	p := readPairs(service, meta)
	if len(p.values) == 0 {
		return Entry{}, false, nil
	}
	enabled, present := p.enabled()
	if _, given := p.values[KeyEnabled]; !present && !given {
		p.mistake(KeyEnabled, "missing: true or false")
	}
	entry.Enabled = enabled
	if arn, ok := p.values[KeyARN]; !ok {
		p.mistake(KeyARN, "missing: the function's ARN")
	} else if entry.Function.ARN, err = parseFunctionARN(arn); err != nil {
		p.mistake(KeyARN, err.Error())
	} else if region, ok := p.values[KeyRegion]; ok && region != entry.Function.ARN.Region {
		p.mistake(KeyRegion, "differs from the ARN's region "+entry.Function.ARN.Region)
	}
	p.settings(&entry.Function)
	if _, given := p.values[KeyURL]; entry.Function.URL && !given {
		p.mistake(KeyURL, "missing: the function's URL, with "+KeyInvokeMode+" url")
	}
	p.unknown(KeyEnabled, KeyARN, KeyRegion)
	entry.Warnings = p.warnings
	return entry, true, p.err()
}

// parseFunctionARN is ParseARN for what a mistake shows: that repeats the value by itself.
func parseFunctionARN(value string) (ARN, error) {
	arn, err := ParseARN(value)
	if err != nil {
		return ARN{}, errors.New("not the ARN of a Lambda function, as in arn:aws:lambda:us-east-1:123456789012:function:NAME")
	}
	return arn, nil
}

// Meta is what a service-defaults entry says of an enabled function. FromMeta
// reads it back.
func (f Function) Meta() map[string]string {
	meta := map[string]string{
		Prefix + KeyEnabled: "true",
		Prefix + KeyARN:     f.ARN.String(),
		Prefix + KeyRegion:  f.ARN.Region,
	}
	for _, s := range Settings() {
		if v := s.get(f); v != "" {
			meta[Prefix+s.Key] = v
		}
	}
	return meta
}

// IsMetaKey reports whether a key of Meta belongs to the vocabulary: what a
// registrator writes and removes. All others are somebody else's.
func IsMetaKey(key string) bool {
	if key == Mark {
		return true
	}
	for _, s := range Settings() {
		if key == Prefix+s.Key {
			return true
		}
	}
	return key == Prefix+KeyEnabled || key == Prefix+KeyARN || key == Prefix+KeyRegion
}
