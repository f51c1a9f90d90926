package lambda

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const testURL = "https://abc123.lambda-url.us-east-1.on.aws"

const testARN = "arn:aws:lambda:us-east-1:123456789012:function:hello"

var parsedARN = ARN{Partition: "aws", Region: "us-east-1", Account: "123456789012", Name: "hello"}

// keys builds tags or Meta of key and value, alternating; the keys get the prefix.
func keys(pairs ...string) map[string]string {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[Prefix+pairs[i]] = pairs[i+1]
	}
	return m
}

// with adds to a map.
func with(m map[string]string, more map[string]string) map[string]string {
	m = maps.Clone(m)
	maps.Copy(m, more)
	return m
}

func TestFromMeta(t *testing.T) {
	whole := keys(KeyEnabled, "true", KeyARN, testARN)
	tests := []struct {
		name     string
		meta     map[string]string
		want     Entry
		notFound bool
	}{
		{name: "nothing", meta: nil, notFound: true},
		{name: "somebody else's", meta: map[string]string{"owner": "me", Mark: "true"}, notFound: true},
		{name: "smallest", meta: whole, want: Entry{Enabled: true, Function: Function{ARN: parsedARN}}},
		{
			name: "as in Consul's documentation",
			meta: keys(KeyEnabled, "true", KeyARN, testARN, KeyPayloadPassthrough, "true", KeyRegion, "us-east-1"),
			want: Entry{Enabled: true, Function: Function{ARN: parsedARN, PayloadPassthrough: true}},
		},
		{
			name: "all settings",
			meta: keys(KeyEnabled, "TRUE", KeyARN, testARN+":prod", KeyPayloadPassthrough, "True", KeyInvocationMode, "asynchronous",
				KeyTimeout, "900", KeyRoleARN, "arn:aws:iam::123456789012:role/path/invoker", KeyExternalID, "an-id",
				KeyInvokeMode, "API", KeyErrorMapping, "false", KeyRetries, "10"),
			want: Entry{Enabled: true, Function: Function{
				ARN: parsedARN.WithQualifier("prod"), PayloadPassthrough: true, Asynchronous: true, Timeout: 15 * time.Minute,
				RoleARN: "arn:aws:iam::123456789012:role/path/invoker", ExternalID: "an-id", RawErrors: true, Retries: 10,
			}},
		},
		{
			name: "by its URL, as AWS gives it",
			meta: with(whole, keys(KeyInvokeMode, "URL", KeyURL, testURL+"/", KeyTimeout, "60", KeyCredentialsProfile, "payments", KeyRetries, "2")),
			want: Entry{Enabled: true, Function: Function{
				ARN: parsedARN, URL: true, FunctionURL: testURL, Timeout: time.Minute, CredentialsProfile: "payments", Retries: 2,
			}},
		},
		{
			name: "defaults spelled out, and spaces",
			meta: keys(KeyEnabled, " true ", KeyARN, " "+testARN+" ", KeyPayloadPassthrough, "false", KeyInvocationMode, "SYNCHRONOUS",
				KeyInvokeMode, "api", KeyErrorMapping, "true", KeyRetries, "0", KeyCredentialsProfile, " payments "),
			want: Entry{Enabled: true, Function: Function{ARN: parsedARN, CredentialsProfile: "payments"}},
		},
		{name: "disabled", meta: keys(KeyEnabled, "false", KeyARN, testARN), want: Entry{Function: Function{ARN: parsedARN}}},
		{
			name: "misprinted prefix",
			meta: with(whole, map[string]string{alphaPrefix + KeyInvocationMode: "ASYNCHRONOUS"}),
			want: Entry{
				Enabled: true, Function: Function{ARN: parsedARN, Asynchronous: true},
				Warnings: []string{"svc: " + alphaPrefix + KeyInvocationMode + ": the prefix is " + Prefix},
			},
		},
		{
			name: "both prefixes: the right one wins",
			meta: with(whole, map[string]string{alphaPrefix + KeyRetries: "nonsense", Prefix + KeyRetries: "2"}),
			want: Entry{
				Enabled: true, Function: Function{ARN: parsedARN, Retries: 2},
				Warnings: []string{"svc: " + alphaPrefix + KeyRetries + ": the prefix is " + Prefix},
			},
		},
		{
			name: "a slip of the pen",
			meta: with(whole, keys("payload-passthru", "true")),
			want: Entry{
				Enabled: true, Function: Function{ARN: parsedARN},
				Warnings: []string{"svc: " + Prefix + "payload-passthru: no such key, it is ignored"},
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, found, err := FromMeta("svc", test.meta)
			if err != nil {
				t.Errorf("error: %v", err)
			}
			if found == test.notFound {
				t.Errorf("found = %t", found)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("entry (-want +got):\n%s", diff)
			}
		})
	}
}

// wrongSettings are values that neither tags nor Meta may have.
var wrongSettings = []struct{ key, value string }{
	{KeyEnabled, "yes"},
	{KeyEnabled, ""},
	{KeyPayloadPassthrough, "1"},
	{KeyInvocationMode, "EVENT"},
	{KeyTimeout, "0"},
	{KeyTimeout, "901"},
	{KeyTimeout, "30s"},
	{KeyTimeout, "1.5"},
	{KeyCredentialsProfile, ""},
	{KeyCredentialsProfile, "a\nb"},
	{KeyCredentialsProfile, "a\xffb"},
	{KeyCredentialsProfile, "a\u202eb"}, // turns what follows around, for who reads it
	{KeyCredentialsProfile, "a\u009bb"},
	{KeyCredentialsProfile, strings.Repeat("a", 257)},
	{KeyRoleARN, "invoker"},
	{KeyRoleARN, "arn:aws:iam::123456789012:user/me"},
	{KeyRoleARN, "arn:aws:iam::12345:role/me"},
	{KeyInvokeMode, "http"},
	{KeyURL, "https://abc.lambda-url.us-east-1.on.aws/path"},
	{KeyURL, "http://abc.lambda-url.us-east-1.on.aws"},
	{KeyURL, "https://lambda.us-east-1.amazonaws.com"},
	{KeyURL, "https://evil.example/.lambda-url.us-east-1.on.aws"},
	{KeyURL, "https://abc.lambda-url.us-east-1.on.aws:8443"},
	{KeyURL, testURL}, // without invoke-mode url
	{KeyErrorMapping, "502"},
	{KeyRetries, "11"},
	{KeyRetries, "-1"},
}

func TestFromMetaMistakes(t *testing.T) {
	type wrong struct{ key, value string }
	tests := []struct {
		name string
		meta map[string]string
		want []wrong // keys without prefix, sorted by key
	}{
		{"no ARN", keys(KeyEnabled, "true"), []wrong{{KeyARN, ""}}},
		{"no switch", keys(KeyARN, testARN), []wrong{{KeyEnabled, ""}}},
		{"ARN", keys(KeyEnabled, "true", KeyARN, "hello"), []wrong{{KeyARN, "hello"}}},
		{"region", keys(KeyEnabled, "true", KeyARN, testARN, KeyRegion, "us-east-2"), []wrong{{KeyRegion, "us-east-2"}}},
		{"disabled and wrong", keys(KeyEnabled, "false", KeyARN, "hello"), []wrong{{KeyARN, "hello"}}},
		{
			"external id alone", keys(KeyEnabled, "true", KeyARN, testARN, KeyExternalID, "an-id"),
			[]wrong{{KeyExternalID, "an-id"}},
		},
		{
			"profile beside role",
			keys(KeyEnabled, "true", KeyARN, testARN, KeyCredentialsProfile, "p", KeyRoleARN, "arn:aws:iam::123456789012:role/r"),
			[]wrong{{KeyCredentialsProfile, "p"}},
		},
		{
			"short external id",
			keys(KeyEnabled, "true", KeyARN, testARN, KeyExternalID, "x", KeyRoleARN, "arn:aws:iam::123456789012:role/r"),
			[]wrong{{KeyExternalID, "x"}},
		},
		{
			"external id with another role in it", // Envoy escapes no & in its call to STS
			keys(KeyEnabled, "true", KeyARN, testARN, KeyRoleARN, "arn:aws:iam::123456789012:role/r", KeyExternalID, "x&RoleArn=arn:aws:iam::123456789012:role/admin"),
			[]wrong{{KeyExternalID, "x&RoleArn=arn:aws:iam::123456789012:role/admin"}},
		},
		{"no URL", keys(KeyEnabled, "true", KeyARN, testARN, KeyInvokeMode, "url"), []wrong{{KeyURL, ""}}},
		{
			"URL of another region",
			keys(KeyEnabled, "true", KeyARN, strings.Replace(testARN, "us-east-1", "eu-west-1", 1), KeyInvokeMode, "url", KeyURL, testURL),
			[]wrong{{KeyURL, testURL}},
		},
		{
			"what a URL does not do",
			keys(KeyEnabled, "true", KeyARN, testARN, KeyInvokeMode, "url", KeyURL, testURL,
				KeyPayloadPassthrough, "true", KeyInvocationMode, "ASYNCHRONOUS", KeyErrorMapping, "false"),
			[]wrong{{KeyErrorMapping, "false"}, {KeyInvocationMode, "ASYNCHRONOUS"}, {KeyPayloadPassthrough, "true"}},
		},
		{
			"several",
			keys(KeyEnabled, "maybe", KeyARN, "x", KeyRetries, "many"),
			[]wrong{{KeyARN, "x"}, {KeyEnabled, "maybe"}, {KeyRetries, "many"}},
		},
	}
	for _, w := range wrongSettings {
		tests = append(tests, struct {
			name string
			meta map[string]string
			want []wrong
		}{
			w.key + " " + w.value, with(keys(KeyEnabled, "true", KeyARN, testARN), keys(w.key, w.value)),
			[]wrong{{w.key, w.value}},
		})
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, found, err := FromMeta("svc", test.meta)
			if !found {
				t.Error("not found")
			}
			var got []wrong
			for _, m := range Mistakes(err) {
				if m.Subject != "svc" || m.Reason == "" {
					t.Errorf("%+v lacks the service or a reason", m)
				}
				for _, part := range []string{m.Subject, m.Key, m.Reason} {
					if !strings.Contains(m.Error(), part) {
						t.Errorf("%q does not say %q", m, part)
					}
				}
				got = append(got, wrong{strings.TrimPrefix(m.Key, Prefix), m.Value})
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(wrong{})); diff != "" {
				t.Errorf("mistakes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMistakeNamesKeyAsRead(t *testing.T) {
	_, _, err := FromMeta("svc", with(keys(KeyEnabled, "true", KeyARN, testARN), map[string]string{alphaPrefix + KeyRetries: "many"}))
	const want = `svc: serverless.consul.hashicorp.com/alpha/lambda/retries = "many": not a whole number from 0 to 10`
	if err == nil || err.Error() != want {
		t.Errorf("error = %v, want %s", err, want)
	}
}

func TestIsMetaKey(t *testing.T) {
	for key, want := range map[string]bool{
		Mark: true, Prefix + KeyEnabled: true, Prefix + KeyARN: true, Prefix + KeyRegion: true, Prefix + KeyRetries: true,
		"owner": false, KeyEnabled: false, Prefix + "no-such-key": false, Prefix + KeyAliases: false, alphaPrefix + KeyEnabled: false, "": false,
	} {
		if got := IsMetaKey(key); got != want {
			t.Errorf("IsMetaKey(%q) = %t", key, got)
		}
	}
}

// Whatever Meta says: no panic, the same answer twice, an error for what is not
// whole, and what is whole can be written and read again.
func FuzzFromMeta(f *testing.F) {
	f.Add("true", testARN, "us-east-1", KeyRetries, "3", false)
	f.Add("false", testARN+":prod", "", KeyTimeout, "900", true)
	f.Add("maybe", "arn:aws:lambda", "x", KeyExternalID, "\xff", false)
	f.Add("true", testARN, "us-east-1", KeyURL, testURL, false)
	f.Add(" TRUE ", testARN, "us-east-1", KeyCredentialsProfile, "a b", true)
	f.Fuzz(func(t *testing.T, enabled, arn, region, key, value string, misprint bool) {
		meta := keys(KeyEnabled, enabled, KeyARN, arn, KeyRegion, region)
		if misprint {
			meta[alphaPrefix+key] = value
		} else {
			meta[Prefix+key] = value
		}
		entry, found, err := FromMeta("svc", meta)
		if !found {
			t.Fatal("not found")
		}
		again, _, errAgain := FromMeta("svc", meta)
		if diff := cmp.Diff(entry, again); diff != "" || (err == nil) != (errAgain == nil) || err != nil && err.Error() != errAgain.Error() {
			t.Errorf("another answer to the same: %v, %v\n%s", err, errAgain, diff)
		}
		if err != nil {
			if len(Mistakes(err)) == 0 {
				t.Errorf("no mistake in %v", err)
			}
			return
		}
		back, _, err := FromMeta("svc", entry.Function.Meta())
		if err != nil || back.Function != entry.Function || len(back.Warnings) > 0 {
			t.Errorf("%+v came back as %+v, %v", entry.Function, back, err)
		}
	})
}
