package patch

// Lacks says what an Envoy of this version cannot do of all that others can, in words for
// people, and whether it can invoke functions at all.
func (v Version) Lacks() (lacks []string, supported bool) {
	if (Options{}).form(v) == "" {
		return nil, false
	}
	for _, one := range []struct {
		can  bool
		what string
	}{
		{(Options{}).form(v) == FormCluster, "functions in clusters (1.31): it has them in its listeners"},
		{v.bodyLimits(), "bodies of more than 1 MiB (1.36)"},
		{v.scripts(), "error-mapping (1.36)"},
		{v.callsURLs(), "invoke-mode url (1.36)"},
		{v.retriesHeldAnswers(), "retries (1.37)"},
		{v.assumesRoles(), "role-arn (1.39)"},
	} {
		if !one.can {
			lacks = append(lacks, one.what)
		}
	}
	return lacks, true
}
