package admin

import (
	"fmt"
	"strings"
)

// counted is a number of things: "1 service", "1,000 services".
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(n) + " " + many
}

// thousands is a number with its thousands apart.
func thousands(n int) string {
	digits := fmt.Sprint(n)
	var groups []string
	for len(digits) > 3 {
		groups = append([]string{digits[len(digits)-3:]}, groups...)
		digits = digits[:len(digits)-3]
	}
	return strings.Join(append([]string{digits}, groups...), ",")
}

// segment is a part of an ARN or of a resource's name.
type segment string

// Short reports whether it is not to be broken at its hyphens, as "us-east-1" is not; it
// has room on a telephone.
func (s segment) Short() bool { return len(s) <= 24 }

// segments are the parts between which a line is best broken.
func segments(name string) []segment {
	var parts []segment
	for {
		at := strings.IndexAny(name, ":.~/")
		if at < 0 {
			return append(parts, segment(name))
		}
		parts, name = append(parts, segment(name[:at+1])), name[at+1:]
	}
}
