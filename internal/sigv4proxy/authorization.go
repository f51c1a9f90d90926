package sigv4proxy

import (
	"slices"
	"strings"
)

// authorization is a read Authorization header:
//
//	AWS4-HMAC-SHA256 Credential=KEY/20060102/REGION/SERVICE/aws4_request, SignedHeaders=a;b, Signature=HEX
type authorization struct {
	accessKey, date, region, service string
	signedHeaders                    []string // lower case, sorted
	signature                        string
}

const algorithm = "AWS4-HMAC-SHA256"

func parseAuthorization(header string) (authorization, *refusal) {
	var a authorization
	rest, found := strings.CutPrefix(header, algorithm+" ")
	if !found {
		return a, refuse(CodeIncomplete, "Authorization header requires '"+algorithm+"' algorithm.")
	}
	fields := map[string]string{}
	for field := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		fields[name] = value
	}
	for _, name := range []string{"Credential", "SignedHeaders", "Signature"} {
		if fields[name] == "" {
			return a, refuse(CodeIncomplete, "Authorization header requires '"+name+"' parameter.")
		}
	}
	scope := strings.Split(fields["Credential"], "/")
	if len(scope) != 5 || scope[4] != "aws4_request" {
		return a, refuse(CodeIncomplete, "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/aws4_request.")
	}
	a.accessKey, a.date, a.region, a.service = scope[0], scope[1], scope[2], scope[3]
	a.signedHeaders = strings.Split(fields["SignedHeaders"], ";")
	a.signature = fields["Signature"]
	if !slices.IsSorted(a.signedHeaders) || slices.ContainsFunc(a.signedHeaders, func(h string) bool { return h != strings.ToLower(h) }) {
		return a, refuse(CodeIncomplete, "SignedHeaders must be lower case and sorted.")
	}
	return a, nil
}

func (a authorization) signs(header string) bool {
	return slices.Contains(a.signedHeaders, header)
}
