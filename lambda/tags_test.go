package lambda

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A function that has none of these tags asks for nothing, whatever else it has.
func TestEnabledTags(t *testing.T) {
	for _, tag := range EnabledTags() {
		if tagged, _, err := FromTags(parsedARN, map[string]string{tag: "true"}); err != nil || !tagged.Enabled {
			t.Errorf("%s: %+v, error %v", tag, tagged, err)
		}
	}
	for key, want := range map[string]bool{Prefix + "x": true, alphaPrefix + KeyTimeout: true, "team": false, "": false} {
		if IsTag(key) != want {
			t.Errorf("IsTag(%q) = %t", key, !want)
		}
	}
	if len(EnabledTags()) != 2 {
		t.Errorf("%v", EnabledTags())
	}
}

func TestFromTags(t *testing.T) {
	tests := []struct {
		name     string
		tags     map[string]string
		want     Tagged
		notFound bool
	}{
		{name: "no tags", notFound: true},
		{name: "somebody else's", tags: map[string]string{"team": "a", "serverless.consul.hashicorp.com/other": "x"}, notFound: true},
		{name: "smallest", tags: keys(KeyEnabled, "true"), want: Tagged{Enabled: true, Function: Function{ARN: parsedARN}}},
		{name: "off", tags: keys(KeyEnabled, "False"), want: Tagged{Function: Function{ARN: parsedARN}}},
		{name: "no switch", tags: keys(KeyTimeout, "3"), want: Tagged{Function: Function{ARN: parsedARN, Timeout: 3 * time.Second}}},
		{
			name: "as in the example of Consul's documentation",
			tags: map[string]string{
				Prefix + KeyEnabled: "true", alphaPrefix + KeyPayloadPassthrough: "true", alphaPrefix + KeyInvocationMode: "ASYNCHRONOUS",
			},
			want: Tagged{
				Enabled: true, Function: Function{ARN: parsedARN, PayloadPassthrough: true, Asynchronous: true},
				Warnings: []string{
					"hello: " + alphaPrefix + KeyInvocationMode + ": the prefix is " + Prefix,
					"hello: " + alphaPrefix + KeyPayloadPassthrough + ": the prefix is " + Prefix,
				},
			},
		},
		{
			name: "aliases", tags: keys(KeyEnabled, "true", KeyAliases, "prod+dev + prod"),
			want: Tagged{Enabled: true, Function: Function{ARN: parsedARN}, Aliases: []string{"dev", "prod"}},
		},
		{
			name: "where it goes", tags: keys(KeyEnabled, "true", KeyNamespace, "team", KeyPartition, "part", KeyDatacenter, "dc2"),
			want: Tagged{Enabled: true, Function: Function{ARN: parsedARN}, Namespace: "team", Partition: "part", Datacenter: "dc2"},
		},
		{
			name: "a key of Meta alone", tags: keys(KeyEnabled, "true", KeyARN, testARN),
			want: Tagged{
				Enabled: true, Function: Function{ARN: parsedARN},
				Warnings: []string{"hello: " + Prefix + KeyARN + ": no such key, it is ignored"},
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, found, err := FromTags(parsedARN, test.tags)
			if err != nil {
				t.Errorf("error: %v", err)
			}
			if found == test.notFound {
				t.Errorf("found = %t", found)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("tagged (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFromTagsMistakes(t *testing.T) {
	wrong := slices.Concat(wrongSettings, []struct{ key, value string }{
		{KeyAliases, ""},
		{KeyAliases, "+"},
		{KeyAliases, "prod,dev"},
		{KeyAliases, "prod+"},
		{KeyAliases, "$LATEST"},
		{KeyNamespace, "a/b"},
		{KeyNamespace, ""},
		{KeyPartition, "a b"},
		{KeyDatacenter, "dc.1"},
	})
	for _, w := range wrong {
		t.Run(w.key+" "+w.value, func(t *testing.T) {
			_, found, err := FromTags(parsedARN, with(keys(KeyEnabled, "true"), keys(w.key, w.value)))
			if !found {
				t.Error("not found")
			}
			got := Mistakes(err)
			if len(got) != 1 || got[0].Subject != "hello" || got[0].Key != Prefix+w.key || got[0].Value != w.value || got[0].Reason == "" {
				t.Errorf("mistakes = %v, want one of %s", err, w.key)
			}
		})
	}
}

// A function called by its URL: a registrator asks AWS for what the tags do not say.
func TestURLTags(t *testing.T) {
	tags := keys(KeyEnabled, "true", KeyInvokeMode, "url")
	for _, test := range []struct {
		name string
		more map[string]string
		url  string
		says string // of the one mistake; empty for none
	}{
		{name: "to be asked for"},
		{name: "to be asked for, of each alias", more: keys(KeyAliases, "live")},
		{name: "said", more: keys(KeyURL, testURL), url: testURL},
		{name: "one for several services", more: keys(KeyURL, testURL, KeyAliases, "live"), says: KeyURL},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, _, err := FromTags(parsedARN, with(tags, test.more))
			switch mistakes := Mistakes(err); {
			case test.says != "" && (len(mistakes) != 1 || mistakes[0].Key != Prefix+test.says):
				t.Errorf("mistakes: %v", err)
			case test.says == "" && (err != nil || !got.Function.URL || got.Function.FunctionURL != test.url):
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func TestServices(t *testing.T) {
	got := Tagged{
		Function: Function{ARN: parsedARN, Timeout: time.Minute}, Aliases: []string{"dev", "prod"}, Namespace: "team",
	}.Services()
	want := map[ServiceName]Function{
		NewServiceName("hello", "team", ""):      {ARN: parsedARN, Timeout: time.Minute},
		NewServiceName("hello-dev", "team", ""):  {ARN: parsedARN.WithQualifier("dev"), Timeout: time.Minute},
		NewServiceName("hello-prod", "team", ""): {ARN: parsedARN.WithQualifier("prod"), Timeout: time.Minute},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Services (-want +got):\n%s", diff)
	}
}

// Whatever the tags say: no panic, the same answer twice, mistakes that name the
// function, and what is right becomes Meta that is right.
func FuzzFromTags(f *testing.F) {
	f.Add("true", "prod+dev", "team", KeyInvocationMode, "ASYNCHRONOUS")
	f.Add("FALSE", "+", "", KeyTimeout, "12")
	f.Add("true", "prod", "", KeyInvokeMode, "url")
	f.Add("", "a", "x/y", "no-such-key", "\x00")
	f.Fuzz(func(t *testing.T, enabled, aliases, namespace, key, value string) {
		if len(aliases) > 256 || len(value) > 256 {
			return // no tag of AWS's is longer, and each alias costs a round trip
		}
		tags := with(keys(KeyEnabled, enabled, KeyAliases, aliases, KeyNamespace, namespace), keys(key, value))
		tagged, found, err := FromTags(parsedARN, tags)
		if !found {
			t.Fatal("not found")
		}
		if again, _, errAgain := FromTags(parsedARN, tags); !cmp.Equal(tagged, again) || (err == nil) != (errAgain == nil) {
			t.Errorf("another answer to the same: %+v, %+v", tagged, again)
		}
		if err != nil {
			for _, m := range Mistakes(err) {
				if m.Subject != "hello" || !strings.HasPrefix(m.Key, Prefix) {
					t.Errorf("%v does not name the function or the key", m)
				}
			}
			return
		}
		for name, function := range tagged.Services() {
			if function.URL && function.FunctionURL == "" {
				function.FunctionURL = testURL // as a registrator asks AWS for it
			}
			back, _, err := FromMeta(name.Name, function.Meta())
			if err != nil || back.Function != function || !back.Enabled {
				t.Errorf("%s: %+v came back as %+v, %v", name, function, back, err)
			}
		}
	})
}
