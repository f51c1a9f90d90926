package registrator

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// An entry is written back with every field that Consul sent, those that nobody
// here knows included, and with numbers as they were.
func TestEntryKeepsWhatItDoesNotKnow(t *testing.T) {
	const sent = `{"Kind":"service-defaults","Name":"f","Protocol":"http","NewInConsul3":{"Big":17033892352902850082,"On":false},"Meta":{"a":"b"},"Hash":17033892352902850082,"CreateIndex":3,"ModifyIndex":7}`
	entry := new(Entry)
	if err := json.Unmarshal([]byte(sent), entry); err != nil {
		t.Fatal(err)
	}
	if entry.ModifyIndex != 7 || entry.Protocol != "http" {
		t.Errorf("read %+v", entry)
	}
	written, err := json.Marshal(entry.withMeta(map[string]string{"a": "c"}))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"Kind":"service-defaults","Meta":{"a":"c"},"Name":"f","NewInConsul3":{"Big":17033892352902850082,"On":false},"Protocol":"http"}`
	if diff := cmp.Diff(want, string(written)); diff != "" {
		t.Error(diff)
	}
	if entry.Meta["a"] != "b" {
		t.Error("the entry that was read changed")
	}
}

func TestEntryMadeForUs(t *testing.T) {
	for _, test := range []struct {
		fields string
		want   bool
	}{
		{`"Protocol":"http"`, true},
		{`"Protocol":""`, true},
		{`"Protocol":"grpc"`, false},
		{`"Namespace":"default","Partition":"default"`, true},
		{`"TransparentProxy":{},"MeshGateway":{"Mode":""},"Expose":{"Checks":false,"Paths":[]},"MaxInboundConnections":0,"UpstreamConfig":null`, true},
		{`"Expose":{"Checks":true}`, false},
		{`"MaxInboundConnections":5`, false},
		{`"ExternalSNI":"x"`, false},
		{`"EnvoyExtensions":[{"Name":"builtin/lua"}]`, false},
		{`"UpstreamConfig":{"Defaults":{"MeshGateway":{},"ConnectTimeoutMs":9}}`, false},
		{`"Meta":{"` + lambda.Mark + `":"true","` + lambda.Prefix + `enabled":"true"}`, true},
		{`"Meta":{"` + lambda.Mark + `":"true","team":"a"}`, false},
	} {
		entry := new(Entry)
		if err := json.Unmarshal([]byte(`{"Kind":"service-defaults","Name":"f","Hash":9,"CreateIndex":3,"ModifyIndex":7,`+test.fields+`}`), entry); err != nil {
			t.Fatal(err)
		}
		if got := entry.madeForUs(); got != test.want {
			t.Errorf("%s: %t", test.fields, got)
		}
	}
}
