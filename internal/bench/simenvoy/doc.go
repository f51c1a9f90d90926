// Package simenvoy plays the xDS client of an Envoy, on a connection of its own and
// with a real Envoy's Node, as far as a server can see it: it asks for clusters, for
// the endpoints of those that are EDS, then for listeners, and accepts all. It reads of
// a response what it must, so that thousands of them fit beside what they measure.
package simenvoy
