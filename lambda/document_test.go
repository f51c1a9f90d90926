package lambda

import (
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/meta.md anew")

// own are the keys that only one side has: tags, or Meta.
var own = []struct{ key, side, values, absent, doc string }{
	{KeyEnabled, "both", "true, false", "not a function of the mesh", "Whether the function is in the mesh. Anything else than these two, in any case, is a mistake, and nothing is deleted for it."},
	{KeyARN, "Meta", "the function's ARN", "a mistake", "Which function. With an alias or a version as its last part, that one."},
	{KeyRegion, "Meta", "the ARN's region", "the ARN's", "Only repeats what the ARN says."},
	{KeyAliases, "tag", "names with + between them", "none", "Each alias becomes a service of its own, FUNCTION-ALIAS, beside the function's."},
	{KeyNamespace, "tag", "a namespace", "default", "Where the service goes (Consul Enterprise)."},
	{KeyPartition, "tag", "an admin partition", "default", "Where the service goes (Consul Enterprise)."},
	{KeyDatacenter, "tag", "a datacenter", "any", "Only the registrator of this datacenter takes it."},
}

// document is docs/meta.md: one table of all keys, so that what is documented is what
// is read.
func document() string {
	var b strings.Builder
	b.WriteString(`# Tags and Meta

Made from the code by ` + "`go test ./lambda -update`" + `. A key stands behind the prefix ` + "`" + Prefix + "`" + `, in the tags of a function and
in the Meta of a service-defaults entry alike; a registrator copies the tags into the Meta. Keys that nobody reads are a warning, values that
mean nothing are a mistake: the service is in state error and not invoked.

| key | where | value | if absent | what it does |
|---|---|---|---|---|
`)
	row := func(key, side, values, absent, doc string) {
		b.WriteString("| `" + key + "` | " + side + " | " + values + " | " + absent + " | " + doc + " |\n")
	}
	for _, one := range own {
		row(one.key, one.side, one.values, one.absent, one.doc)
	}
	for _, s := range Settings() {
		row(s.Key, "both", s.Values, s.Default, s.Doc)
	}
	b.WriteString(`
Three more things are read:

- The prefix ` + "`" + alphaPrefix + "`" + `, which stands on two tags of the example in Consul's documentation by mistake, with a warning.
- Consul's own Lambda extension (EnvoyExtensions, ` + "`" + ExtensionName + "`" + `) in an entry makes a function too, by its Arguments ARN, InvocationMode and
  PayloadPassthrough. Meta beside it counts; two different functions are a mistake. [All cases](topologies.md#consul-already-patched-it).
- The mark ` + "`" + Mark + "`" + `, a tag on the service and a key of Meta, says that a registrator made a thing and may change it.
`)
	return b.String()
}

func TestDocument(t *testing.T) {
	const path = "../docs/meta.md"
	if *update {
		if err := os.WriteFile(path, []byte(document()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	there, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(there) != document() {
		t.Error("docs/meta.md is not what the code says: go test ./lambda -update")
	}
}

// TestDocumentIsWhole: every key that tags or Meta may have is in it.
func TestDocumentIsWhole(t *testing.T) {
	text := document()
	arn := ARN{Partition: "aws", Region: "us-east-1", Account: "123456789012", Name: "f"}
	for _, key := range []string{
		KeyEnabled, KeyARN, KeyRegion, KeyPayloadPassthrough, KeyInvocationMode, KeyTimeout, KeyCredentialsProfile, KeyRoleARN, KeyExternalID,
		KeyInvokeMode, KeyURL, KeyErrorMapping, KeyRetries, KeyAliases, KeyNamespace, KeyPartition, KeyDatacenter,
	} {
		if !strings.Contains(text, "| `"+key+"` |") {
			t.Errorf("%s is missing", key)
		}
		tagged, _, tagErr := FromTags(arn, map[string]string{Prefix + key: "x"})
		entry, _, metaErr := FromMeta("f", map[string]string{Prefix + key: "x"})
		unread := func(warnings []string) bool { return strings.Contains(strings.Join(warnings, " "), key) }
		inTags, inMeta := tagErr != nil || !unread(tagged.Warnings), metaErr == nil || !unread(entry.Warnings)
		side := map[[2]bool]string{{true, true}: "both", {true, false}: "tag", {false, true}: "Meta"}[[2]bool{inTags, inMeta}]
		if !strings.Contains(text, "| `"+key+"` | "+side+" |") {
			t.Errorf("%s is read as %q, which the document does not say", key, side)
		}
	}
}
