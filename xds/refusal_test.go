package xds

import (
	"strings"
	"testing"
)

func TestSafeText(t *testing.T) {
	for in, want := range map[string]string{
		"Error adding cluster x: no address": "Error adding cluster x: no address",
		"bad\n\tcluster":                     "bad cluster",
		`bad: tls { private_key { inline_string: "-----BEGIN KEY` + "\nabc" + `" } }`: "bad: tls { ...",
		`key "-----BEGIN RSA PRIVATE KEY-----abc`:                                     `key " ...`,
	} {
		if got := safeText(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
	if got := safeText(strings.Repeat("ä", 1000)); len(got) > refusalSize+4 || !strings.HasSuffix(got, " ...") {
		t.Errorf("a long text is kept: %d bytes", len(got))
	}
}
