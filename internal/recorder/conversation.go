package recorder

import (
	"io"
	"slices"
	"sync"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
)

// The four types whose rules Check knows.
const (
	ClusterType  = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	EndpointType = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
	ListenerType = "type.googleapis.com/envoy.config.listener.v3.Listener"
	RouteType    = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
)

// Entry is one event of a stream. Exactly one of the fields after Time is set.
// The messages are shared by all who read the conversation: do not change them.
type Entry struct {
	Time     time.Time // when the recorder saw it
	Request  *discoveryv3.DeltaDiscoveryRequest
	Response *discoveryv3.DeltaDiscoveryResponse
	// Garbled says why a message could not be decoded. It was passed on.
	Garbled error
	// End is the stream's status, io.EOF for OK. Nothing follows it.
	End error
}

// Sent is a resource that a response carried.
type Sent struct {
	Name    string
	Version string
}

// Conversation is the record of one delta ADS stream. A request stands in it
// before the server could read it, a response before the client could: what an
// entry caused is always behind it. All methods may be called concurrently.
type Conversation struct {
	metadataKeys []string // sorted; never changed
	changed      func()   // called after each entry, without the lock

	mu      sync.Mutex
	entries []Entry
	ended   bool
}

// NewConversation starts an empty record. Of the stream's metadata it gets the
// keys alone, because a value may be a token.
func NewConversation(metadataKeys ...string) *Conversation {
	keys := slices.Clone(metadataKeys)
	slices.Sort(keys)
	return &Conversation{metadataKeys: keys, changed: func() {}}
}

// MetadataKeys are the keys of the metadata that the client sent, sorted.
func (c *Conversation) MetadataKeys() []string { return slices.Clone(c.metadataKeys) }

// AddRequest records what the client said.
func (c *Conversation) AddRequest(req *discoveryv3.DeltaDiscoveryRequest) {
	c.add(Entry{Request: req})
}

// AddResponse records what the server said.
func (c *Conversation) AddResponse(resp *discoveryv3.DeltaDiscoveryResponse) {
	c.add(Entry{Response: resp})
}

// End closes the record; what comes later is dropped. A nil error is recorded
// as io.EOF.
func (c *Conversation) End(err error) {
	if err == nil {
		err = io.EOF
	}
	c.add(Entry{End: err})
}

func (c *Conversation) add(e Entry) {
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return
	}
	e.Time = time.Now()
	c.entries = append(c.entries, e)
	c.ended = e.End != nil
	c.mu.Unlock()
	c.changed()
}

// Snapshot is the record so far.
func (c *Conversation) Snapshot() []Entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.entries)
}

// Ended is the stream's status, io.EOF for OK, or nil while it is open.
func (c *Conversation) Ended() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		return nil
	}
	return c.entries[len(c.entries)-1].End
}

// Requests are the requests of one type, in order.
func (c *Conversation) Requests(typeURL string) []*discoveryv3.DeltaDiscoveryRequest {
	var found []*discoveryv3.DeltaDiscoveryRequest
	for _, e := range c.Snapshot() {
		if e.Request != nil && e.Request.GetTypeUrl() == typeURL {
			found = append(found, e.Request)
		}
	}
	return found
}

// FirstRequest is the first request of one type, or nil. It alone says what the
// client already has.
func (c *Conversation) FirstRequest(typeURL string) *discoveryv3.DeltaDiscoveryRequest {
	if all := c.Requests(typeURL); len(all) > 0 {
		return all[0]
	}
	return nil
}

// Responses are the responses of one type, in order.
func (c *Conversation) Responses(typeURL string) []*discoveryv3.DeltaDiscoveryResponse {
	var found []*discoveryv3.DeltaDiscoveryResponse
	for _, e := range c.Snapshot() {
		if e.Response != nil && e.Response.GetTypeUrl() == typeURL {
			found = append(found, e.Response)
		}
	}
	return found
}

// Resources are the resources of one type that went over the stream, in order.
// A resource that was sent twice stands in it twice.
func (c *Conversation) Resources(typeURL string) []Sent {
	var found []Sent
	for _, resp := range c.Responses(typeURL) {
		for _, r := range resp.GetResources() {
			found = append(found, Sent{Name: r.GetName(), Version: r.GetVersion()})
		}
	}
	return found
}
