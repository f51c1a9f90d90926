package patch

import (
	"fmt"
	"path"
	"strings"
)

// Bounds are globs over ARNs. In a glob * stands for any characters, and ? for one, but
// never for a colon: it cannot reach into another account, region or kind of thing than
// its own part of the ARN says. A glob of a function without qualifier covers its aliases
// and versions too. A glob that begins with https:// is over functions' URLs, which no ARN
// covers. "*" alone covers everything.
type Bounds []string

// Validate names the first glob that cannot be one.
func (b Bounds) Validate() error {
	for _, glob := range b {
		parts := strings.Split(glob, ":")
		isARN := len(parts) >= 6 && len(parts) <= 8 && parts[0] == "arn"
		isURL := len(parts) == 2 && strings.HasPrefix(glob, "https://")
		if glob != "*" && !isARN && !isURL {
			return fmt.Errorf("%q is neither an ARN or a function's URL, in which * and ? may stand for parts of a name, nor *", glob)
		}
		if strings.ContainsAny(glob, `[]\`) {
			return fmt.Errorf("%q: only * and ? have a meaning beside the characters of ARNs", glob)
		}
	}
	return nil
}

// cover reports whether one of the globs covers an ARN or a URL.
func (b Bounds) cover(arn string) bool {
	for _, glob := range b {
		if covers(glob, arn) {
			return true
		}
	}
	return false
}

func covers(glob, arn string) bool {
	if glob == "*" {
		return true
	}
	globs, parts := strings.Split(glob, ":"), strings.Split(arn, ":")
	if len(globs) == 7 && len(parts) == 8 {
		parts = parts[:7]
	}
	if len(globs) != len(parts) {
		return false
	}
	// A slash is a letter like any other here: roles have paths.
	letter := strings.NewReplacer("/", "\x00")
	for i := range globs {
		if ok, err := path.Match(letter.Replace(globs[i]), letter.Replace(parts[i])); err != nil || !ok {
			return false
		}
	}
	return true
}
