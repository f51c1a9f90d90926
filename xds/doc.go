// Package xds relays Envoy's delta ADS stream to Consul's and back, and lets a
// Patcher change clusters on the way. It knows the protocol and nothing of what
// the patches are for.
//
// Each Envoy has one pair of streams and one session: a state machine without
// goroutines, locks, clocks or I/O of its own, which the stream feeds with
// what arrives and drains of what is to be sent. What came from Consul for one
// Envoy is never shared with another.
package xds
