package testmesh

import "net/http"

// newTransport makes connections that are closed after use, so that no client holds
// a goroutine that a leak check would find, and without the developer's proxies.
func newTransport() *http.Transport {
	return &http.Transport{DisableKeepAlives: true}
}
