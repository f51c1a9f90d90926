package xds

import (
	"regexp"
	"strings"
)

// refusalSize bounds what is kept of Envoy's words.
const refusalSize = 400

// secret is where a value begins that may be a key: Envoy's text holds a print of
// the whole resource, and clusters and listeners carry private keys inline.
var secret = regexp.MustCompile(`-----BEGIN|inline_string|inline_bytes|private_key`)

// safeText is what of Envoy's words about a refusal may be logged and shown: one
// line, cut before anything that could be a key.
func safeText(text string) string {
	cut := false
	if at := secret.FindStringIndex(text); at != nil {
		text, cut = text[:at[0]], true
	}
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > refusalSize {
		text, cut = strings.ToValidUTF8(text[:refusalSize], ""), true
	}
	if cut {
		text += " ..."
	}
	return text
}
