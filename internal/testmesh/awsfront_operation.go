package testmesh

import (
	"net/http"
	"net/url"
	"strings"
)

// operationOf names the AWS operation of a request. The JSON services say it in a
// header, the query services in the body; Lambda's is its method and path.
func operationOf(r *http.Request, body []byte) string {
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		return target[strings.LastIndex(target, ".")+1:]
	}
	if form, err := url.ParseQuery(string(body)); err == nil && form.Get("Action") != "" {
		return form.Get("Action")
	}
	segments := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if len(segments) < 2 {
		return r.Method + " " + r.URL.Path
	}
	shape := segments[1]
	if len(segments) > 2 {
		shape += "/*"
	}
	if len(segments) > 3 {
		shape += "/" + segments[3]
	}
	if len(segments) > 4 {
		shape += "/*"
	}
	if name, found := lambdaOperations[r.Method+" "+shape]; found {
		return name
	}
	return r.Method + " " + r.URL.Path
}

// lambdaOperations by method and path; a star is a name or an ARN.
var lambdaOperations = map[string]string{
	"GET functions":                 "ListFunctions",
	"POST functions":                "CreateFunction",
	"GET functions/*":               "GetFunction",
	"DELETE functions/*":            "DeleteFunction",
	"GET functions/*/configuration": "GetFunctionConfiguration",
	"PUT functions/*/configuration": "UpdateFunctionConfiguration",
	"GET functions/*/aliases":       "ListAliases",
	"GET functions/*/aliases/*":     "GetAlias",
	"POST functions/*/aliases":      "CreateAlias",
	"DELETE functions/*/aliases/*":  "DeleteAlias",
	"POST functions/*/versions":     "PublishVersion",
	"GET functions/*/url":           "GetFunctionUrlConfig",
	"POST functions/*/url":          "CreateFunctionUrlConfig",
	"POST functions/*/invocations":  "Invoke",
	"GET tags/*":                    "ListTags",
	"POST tags/*":                   "TagResource",
	"DELETE tags/*":                 "UntagResource",
}

// signedRegion is the region that a request was signed for.
func signedRegion(r *http.Request) string {
	_, credential, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	scope := strings.Split(credential, "/")
	if len(scope) < 5 {
		return ""
	}
	return scope[2]
}
