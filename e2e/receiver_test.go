package e2e

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	collectorv1 "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonv1 "go.opentelemetry.io/proto/otlp/common/v1"
	"google.golang.org/protobuf/proto"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// span is a span as it was received.
type span struct {
	name       string
	program    string // service.name of its resource
	trace      string
	id, parent string
	attributes map[string]string
}

// fakeReceiver is a fake: as much of an OpenTelemetry collector as receives spans by
// HTTP and keeps them.
type fakeReceiver struct {
	url string

	mu      sync.Mutex
	spans   []span
	payload strings.Builder // all that came, headers included
}

func receiver(t *testing.T) *fakeReceiver {
	t.Helper()
	f := &fakeReceiver{}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

// ServeHTTP takes POST /v1/traces.
func (f *fakeReceiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var request collectorv1.ExportTraceServiceRequest
	if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(body, &request) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	fmt.Fprintf(&f.payload, "%v %s", r.Header, body)
	for _, resource := range request.GetResourceSpans() {
		program := texts(resource.GetResource().GetAttributes())["service.name"]
		for _, scope := range resource.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				f.spans = append(f.spans, span{
					name: s.GetName(), program: program, trace: hex.EncodeToString(s.GetTraceId()),
					id: hex.EncodeToString(s.GetSpanId()), parent: hex.EncodeToString(s.GetParentSpanId()), attributes: texts(s.GetAttributes()),
				})
			}
		}
	}
}

// texts are attributes as people read them; of a list, its members by blanks.
func texts(attributes []*commonv1.KeyValue) map[string]string {
	all := map[string]string{}
	for _, a := range attributes {
		switch value := a.GetValue(); {
		case value.GetArrayValue() != nil:
			var members []string
			for _, member := range value.GetArrayValue().GetValues() {
				members = append(members, member.GetStringValue())
			}
			all[a.GetKey()] = strings.Join(members, " ")
		case value.GetStringValue() == "":
			all[a.GetKey()] = fmt.Sprint(value.GetIntValue())
		default:
			all[a.GetKey()] = value.GetStringValue()
		}
	}
	return all
}

// all are the spans of a name, with all these attributes ("KEY=VALUE").
func (f *fakeReceiver) all(name string, attributes ...string) []span {
	f.mu.Lock()
	defer f.mu.Unlock()
	var found []span
	for _, s := range f.spans {
		if s.name == name && !slices.ContainsFunc(attributes, func(a string) bool {
			key, value, _ := strings.Cut(a, "=")
			return s.attributes[key] != value
		}) {
			found = append(found, s)
		}
	}
	return found
}

// parentOf is the span that it is in.
func (f *fakeReceiver) parentOf(child span) (span, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.spans, func(s span) bool { return s.id == child.parent && s.trace == child.trace })
	if i < 0 {
		return span{}, false
	}
	return f.spans[i], true
}

// until waits for a span with these attributes in spans of these names, the nearest
// first, the last of which is a trace's root.
func (f *fakeReceiver) until(s *story, name string, attributes []string, in ...string) (found, root span) {
	s.t.Helper()
	s.must(testmesh.Poll(s.ctx, func(context.Context) error {
		why := fmt.Errorf("no span %s of %v", name, attributes)
		for _, candidate := range f.all(name, attributes...) {
			found, root = candidate, candidate
			why = nil
			for _, outer := range in {
				parent, ok := f.parentOf(root)
				if !ok || parent.name != outer {
					why = fmt.Errorf("%s of %v is not in %s, but in %q", root.name, attributes, outer, parent.name)
					break
				}
				root = parent
			}
			if why == nil && root.parent != "" {
				why = fmt.Errorf("%s is no root", root.name)
			}
			if why == nil {
				return nil
			}
		}
		return why
	}))
	return found, root
}
