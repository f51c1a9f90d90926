package lambda

import (
	"fmt"
	"regexp"
	"strings"
)

// urlForm is that of a function's URL (AWS's documentation, "Invoking Lambda function
// URLs"): the id, then the region. AWS gives it with a slash at its end.
var urlForm = regexp.MustCompile(`^https://[a-z0-9]{1,63}\.lambda-url\.([a-z0-9-]{1,63})\.on\.aws$`)

// ParseURL reads a function's URL, https://ID.lambda-url.REGION.on.aws, and returns it
// without the slash that AWS ends it with.
func ParseURL(s string) (string, error) {
	url := strings.TrimSuffix(s, "/")
	if !urlForm.MatchString(url) {
		return "", fmt.Errorf("not a function's URL, as in https://ID.lambda-url.us-east-1.on.aws")
	}
	return url, nil
}

// ofURL checks a function's URL against its ARN, and invoke-mode url against the settings
// of what Envoy's Lambda filter does, which it is called without.
func (p *pairs) ofURL(f Function) {
	if !f.URL {
		if f.FunctionURL != "" {
			p.mistake(KeyURL, "means nothing without "+KeyInvokeMode+" url")
		}
		return
	}
	if f.FunctionURL != "" && f.ARN.Region != "" && urlForm.FindStringSubmatch(f.FunctionURL)[1] != f.ARN.Region {
		p.mistake(KeyURL, "not in the ARN's region "+f.ARN.Region)
	}
	const with = " with " + KeyInvokeMode + " url"
	if f.PayloadPassthrough {
		p.mistake(KeyPayloadPassthrough, "means nothing"+with+": the function gets the whole request")
	}
	if f.Asynchronous {
		p.mistake(KeyInvocationMode, "cannot be had"+with+": it waits for the answer")
	}
	if f.RawErrors {
		p.mistake(KeyErrorMapping, "means nothing"+with+": AWS answers a function's error with 502")
	}
}
