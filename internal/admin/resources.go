package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// pathResources stands before the name of a service.
const pathResources = pathAPI + "/resources/"

// Resources is the answer of /api/v1/resources/NAME: what a service's patch changes.
type Resources struct {
	Resources []Resource `json:"resources"`
}

// Resource is one of Envoy's, as Consul made it and as Envoys are to have it, in the JSON
// of Envoy's API and without what is secret.
type Resource struct {
	// Proxies are the IDs of those that have it so. They are alike; what Consul made is
	// that of the first, and the others' differs from it in certificates at most.
	Proxies      []string        `json:"proxies"`
	Kind         string          `json:"kind"` // of the proxies; empty: unknown
	EnvoyVersion string          `json:"envoy_version"`
	Type         string          `json:"type"` // cluster, listener, route
	Name         string          `json:"name"`
	Note         string          `json:"note,omitempty"` // what is to be known of it
	Before       json.RawMessage `json:"before"`         // null: not known
	After        json.RawMessage `json:"after"`          // null: as it was before
}

// serveResources answers for one service; 404 for one whose entry does not speak of Lambda.
func (s Sources) serveResources(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if s.Table == nil || s.Resources == nil || s.Table().Table.Lookup(lambda.ParseServiceName(name)) == nil {
		text(w, http.StatusNotFound, "no service of this name has an entry that speaks of Lambda")
		return
	}
	found, err := s.Resources(name)
	if err != nil {
		text(w, http.StatusInternalServerError, err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(Resources{list(found)}) // the client is gone: nobody is left to tell
}

// FetchResources asks a running server for those of a service.
func FetchResources(ctx context.Context, cfg ClientConfig, service string) ([]Resource, error) {
	var answer Resources
	err := fetch(ctx, cfg, (&url.URL{Path: pathResources + service}).EscapedPath(), &answer)
	return answer.Resources, err
}
