package xds

import "testing"

// TestNames: a refusal that names a cluster does not name one whose name is a part of
// it.
func TestNames(t *testing.T) {
	const hello = "hello.default.dc1.internal.11111111.consul"
	for text, want := range map[string]bool{
		"Error adding/updating cluster(s) " + hello + ": bad": true,
		"Error adding/updating cluster(s) " + hello:           true,
		hello:                                true,
		"'" + hello + "', '" + hello + ".x'": true,
		"Error adding/updating cluster(s) say-" + hello + ": bad":                     false,
		"Error adding/updating cluster(s) v2." + hello + ": bad":                      false,
		"Error adding/updating cluster(s) f8a~" + hello + ": bad":                     false,
		"Error adding/updating cluster(s) " + hello + "2: bad":                        false,
		"Error adding/updating cluster(s) say-" + hello + ": bad, " + hello + ": bad": true,
		"Error adding/updating cluster(s) hello.default.dc1":                          false,
		"": false,
	} {
		if names(text, hello) != want {
			t.Errorf("%q: want %v", text, want)
		}
	}
}
