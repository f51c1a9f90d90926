// Package fakeconsul plays the xDS of a Consul server, for loads that a real one does
// not give on demand: a response as soon as the last one is acknowledged, 20 MB of
// clusters, thousands of proxies without a catalog of theirs. Its clusters are made
// from recorded ones; it answers in Consul's order and takes no refusal.
package fakeconsul
