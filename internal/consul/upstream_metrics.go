package consul

import "github.com/prometheus/client_golang/prometheus"

// upstreamMetrics are the metrics of an Upstream, computed when they are read.
//
//	lambdamesh_upstream_streams{server}    streams that a server carries for us
//	lambdamesh_upstream_connected{server}  1 if it can be used, else 0
//
// Servers are as many as Consul has.
type upstreamMetrics struct{ upstream *Upstream }

var (
	upstreamStreamsDesc = prometheus.NewDesc("lambdamesh_upstream_streams",
		"Streams that lambdamesh has open to a Consul server.", []string{"server"}, nil)
	upstreamConnectedDesc = prometheus.NewDesc("lambdamesh_upstream_connected",
		"Whether a Consul server can be used: 1, or 0.", []string{"server"}, nil)
)

// Describe is part of prometheus.Collector.
func (m upstreamMetrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- upstreamStreamsDesc
	ch <- upstreamConnectedDesc
}

// Collect is part of prometheus.Collector.
func (m upstreamMetrics) Collect(ch chan<- prometheus.Metric) {
	for _, s := range m.upstream.Servers() {
		ch <- prometheus.MustNewConstMetric(upstreamStreamsDesc, prometheus.GaugeValue, float64(s.Streams), s.Address)
		ch <- prometheus.MustNewConstMetric(upstreamConnectedDesc, prometheus.GaugeValue, float64(truth(s.Problem == "")), s.Address)
	}
}
