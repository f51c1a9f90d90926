package lambda

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Prefix stands before every key, in the tags of a function and in the Meta of
// its service-defaults entry.
const Prefix = "serverless.consul.hashicorp.com/v1alpha1/lambda/"

// alphaPrefix stands on two tags of the example in Consul's "Register Lambda
// Functions" by mistake; people copied it, so it is read, with a warning.
const alphaPrefix = "serverless.consul.hashicorp.com/alpha/lambda/"

// Mark says that a registrator made a thing in Consul: a tag on the service, a
// key of Meta (value "true") in the config entry. It is the tag that HashiCorp's
// registrator puts on its services.
const Mark = "managed-by-lambda-registrator"

// The keys, without Prefix.
const (
	KeyEnabled            = "enabled"
	KeyARN                = "arn"
	KeyRegion             = "region"
	KeyPayloadPassthrough = "payload-passthrough"
	KeyInvocationMode     = "invocation-mode"
	KeyTimeout            = "timeout"
	KeyCredentialsProfile = "credentials-profile"
	KeyRoleARN            = "role-arn"
	KeyExternalID         = "external-id"
	KeyInvokeMode         = "invoke-mode"
	KeyURL                = "url"
	KeyErrorMapping       = "error-mapping"
	KeyRetries            = "retries"
	KeyAliases            = "aliases"
	KeyNamespace          = "namespace"
	KeyPartition          = "partition"
	KeyDatacenter         = "datacenter"
)

// MaxTimeout is the longest that a Lambda function may run.
const MaxTimeout = 15 * time.Minute

// maxRetries bounds retries: each is a full invocation that is paid for.
const maxRetries = 10

// Setting is one key that stands for the same thing on a function's tags and in
// the Meta of its service-defaults entry.
type Setting struct {
	Key     string // without Prefix
	Values  string // what it may be, for people
	Default string // what an absent key means, for people
	Doc     string // one sentence

	set func(*Function, string) error // a value, its spaces trimmed
	get func(Function) string         // "" for the default, which is not written
}

// Settings is the table of all settings, in the order in which documents show
// them. The keys that only one side has are in FromTags and FromMeta.
func Settings() []Setting {
	return []Setting{
		{
			Key: KeyPayloadPassthrough, Values: "true, false", Default: "false",
			Doc: "Hand the request's body to the function as it is, without Envoy's JSON envelope.",
			set: func(f *Function, v string) (err error) { f.PayloadPassthrough, err = parseBool(v); return },
			get: func(f Function) string { return formatBool(f.PayloadPassthrough) },
		},
		{
			Key: KeyInvocationMode, Values: "SYNCHRONOUS, ASYNCHRONOUS", Default: "SYNCHRONOUS",
			Doc: "Wait for the function's answer, or have AWS queue the call and answer 202.",
			set: func(f *Function, v string) (err error) { f.Asynchronous, err = parseMode(v); return },
			get: func(f Function) string { return choose(f.Asynchronous, "ASYNCHRONOUS") },
		},
		{
			Key: KeyTimeout, Values: "1 to 900 (seconds)", Default: "the function's own, where a registrator fills it in",
			Doc: "How long the function may run; routes that have no timeout of their own get it.",
			set: func(f *Function, v string) error {
				seconds, err := parseInt(v, 1, int(MaxTimeout/time.Second))
				f.Timeout = time.Duration(seconds) * time.Second
				return err
			},
			get: func(f Function) string { return formatInt(int(f.Timeout / time.Second)) },
		},
		{
			Key: KeyCredentialsProfile, Values: "a profile's name", Default: "Envoy's own chain of credentials",
			Doc: "The profile of the credentials file on the invoking Envoy's host.",
			set: func(f *Function, v string) error { f.CredentialsProfile = v; return printable(v, 1, 256) },
			get: func(f Function) string { return f.CredentialsProfile },
		},
		{
			Key: KeyRoleARN, Values: "the ARN of an IAM role", Default: "none",
			Doc: "The role that the invoking Envoy assumes first.",
			set: func(f *Function, v string) error {
				if !roleForm.MatchString(v) {
					return fmt.Errorf("not the ARN of an IAM role")
				}
				f.RoleARN = v
				return nil
			},
			get: func(f Function) string { return f.RoleARN },
		},
		{
			Key: KeyExternalID, Values: "2 to 1224 letters, digits and characters of _+=,.@:/-", Default: "none",
			Doc: "The external id that the role's trust policy asks for.",
			set: func(f *Function, v string) error {
				f.ExternalID = v
				if len(v) < 2 || len(v) > 1224 || !externalIDForm.MatchString(v) {
					return fmt.Errorf("not 2 to 1224 letters, digits and characters of _+=,.@:/-")
				}
				return nil
			},
			get: func(f Function) string { return f.ExternalID },
		},
		{
			Key: KeyInvokeMode, Values: "api, url", Default: "api",
			Doc: "Call the Invoke API, or the function's URL, which gets requests as they are and may stream its answer (Envoy 1.36 and later).",
			set: func(f *Function, v string) (err error) { f.URL, err = oneOf(v, "api", "url"); return },
			get: func(f Function) string { return choose(f.URL, "url") },
		},
		{
			Key: KeyURL, Values: "https://ID.lambda-url.REGION.on.aws", Default: "what AWS says, where a registrator fills it in; with invoke-mode url else a mistake",
			Doc: "The function's URL, for invoke-mode url.",
			set: func(f *Function, v string) (err error) { f.FunctionURL, err = ParseURL(v); return },
			get: func(f Function) string { return f.FunctionURL },
		},
		{
			Key: KeyErrorMapping, Values: "true, false", Default: "true",
			Doc: "Turn a function's error into 502, its time-out into 504 (Envoy 1.36 and later); false leaves the 200 that AWS answers it with.",
			set: func(f *Function, v string) error {
				mapped, err := parseBool(v)
				f.RawErrors = !mapped
				return err
			},
			get: func(f Function) string { return choose(f.RawErrors, "false") },
		},
		{
			Key: KeyRetries, Values: "0 to 10", Default: "0",
			Doc: "How often a throttled call is tried again, in place of what routes say of retries (Envoy 1.37 and later); asynchronous calls never are.",
			set: func(f *Function, v string) (err error) { f.Retries, err = parseInt(v, 0, maxRetries); return },
			get: func(f Function) string { return formatInt(f.Retries) },
		},
	}
}

func parseBool(v string) (bool, error) { return oneOf(v, "false", "true") }

// parseMode reports whether an invocation mode is the asynchronous one.
func parseMode(v string) (bool, error) { return oneOf(v, "SYNCHRONOUS", "ASYNCHRONOUS") }

// oneOf reads one of two words in any case and reports whether it is the second.
func oneOf(v, first, second string) (bool, error) {
	switch {
	case strings.EqualFold(v, first):
		return false, nil
	case strings.EqualFold(v, second):
		return true, nil
	}
	return false, fmt.Errorf("neither %s nor %s", first, second)
}

func parseInt(v string, low, high int) (int, error) {
	n, err := strconv.Atoi(v)
	if err != nil || n < low || n > high {
		return 0, fmt.Errorf("not a whole number from %d to %d", low, high)
	}
	return n, nil
}

func printable(v string, low, high int) error {
	if len(v) < low || len(v) > high {
		return fmt.Errorf("not %d to %d characters", low, high)
	}
	for _, r := range v {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return fmt.Errorf("not plain text")
		}
	}
	return nil
}

func formatBool(b bool) string { return choose(b, "true") }

func formatInt(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func choose(b bool, s string) string {
	if b {
		return s
	}
	return ""
}
