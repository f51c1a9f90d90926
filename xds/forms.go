package xds

import (
	"crypto/sha256"
	"encoding/hex"
	"runtime"
	"sync"
	"weak"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"
)

// form is a resource that stands in place of Consul's, encoded. It is made once in a
// process, however many Envoys have it, and lives as long as one of them does.
type form struct {
	body   []byte
	hash   string // what its version says of it
	kind   string // cluster, listener; empty for a cluster without endpoints
	reason string // for people: why it is one without endpoints
}

// serves reports whether calls are answered by more than 503.
func (f *form) serves() bool { return f.kind != "" }

// newForm encodes a cluster, always to the same bytes.
func newForm(made Made) (*form, error) {
	body := made.Encoded
	if body == nil {
		var err error
		if body, err = (proto.MarshalOptions{Deterministic: true}).Marshal(made.Cluster); err != nil {
			return nil, err
		}
	}
	sum := sha256.Sum256(body)
	return &form{body: body, hash: hex.EncodeToString(sum[:8]), kind: made.Form, reason: made.Reason}, nil
}

// forms are those of all streams, by Patch.Key: whoever has the key has all that is
// in the form, so nothing secret is shared.
type forms struct {
	made prometheus.Counter

	mu    sync.Mutex
	byKey map[any]weak.Pointer[form]
}

func newForms(made prometheus.Counter) *forms {
	return &forms{made: made, byKey: map[any]weak.Pointer[form]{}}
}

// of is the form that a patch makes, made now if no stream has it.
func (f *forms) of(patch *Patch) (*form, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if made := f.byKey[patch.Key].Value(); made != nil {
		return made, nil
	}
	made, err := newForm(patch.Make())
	if err != nil {
		return nil, err
	}
	f.made.Inc()
	f.byKey[patch.Key] = weak.Make(made)
	runtime.AddCleanup(made, f.drop, patch.Key)
	return made, nil
}

// drop forgets a form that no stream has any more, unless it was made anew.
func (f *forms) drop(key any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byKey[key].Value() == nil {
		delete(f.byKey, key)
	}
}
