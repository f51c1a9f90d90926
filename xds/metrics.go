package xds

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// metrics counts what the streams do. No label names a proxy or a service: their
// number has no bound.
type metrics struct {
	pushes *prometheus.CounterVec
	nacks  *prometheus.CounterVec

	patches  prometheus.Counter
	passedOn *prometheus.CounterVec
	surplus  prometheus.Counter
}

func newMetrics(registry prometheus.Registerer, server *Server) *metrics {
	m := &metrics{
		pushes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lambdamesh_xds_pushes_total",
			Help: "Responses sent to Envoys, by type of resource and by what caused them.",
		}, []string{"type", "cause"}),
		nacks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lambdamesh_xds_nacks_total",
			Help: "Responses that Envoys refused, by type of resource and by whether one of lambdamesh's was in them.",
		}, []string{"type", "ours"}),
		patches: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "lambdamesh_xds_patches_total",
			Help: "Patched resources that were made; an Envoy that is to have one which another Envoy has is given the same.",
		}),
		// No label names a method: the caller chooses that.
		passedOn: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lambdamesh_xds_passed_calls_total",
			Help: "Calls of Consul's other gRPC services that were passed on and have ended, by status.",
		}, []string{"code"}),
		surplus: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "lambdamesh_xds_surplus_streams_total",
			Help: "Streams that were turned away because too many began in that second.",
		}),
	}
	// Counters are there from the start: a rate over one that comes with its first count
	// misses that count.
	for _, typeURL := range append([]string{""}, attachOrder...) {
		for _, ours := range []string{"false", "true"} {
			m.nacks.WithLabelValues(shortType(typeURL), ours)
		}
		m.pushes.WithLabelValues(shortType(typeURL), string(causeConsul))
	}
	m.passedOn.WithLabelValues(codes.OK.String())
	if registry == nil {
		return m
	}
	registry.MustRegister(m.pushes, m.nacks, m.patches, m.passedOn, m.surplus,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "lambdamesh_xds_streams",
			Help: "Envoys that are connected.",
		}, func() float64 { return float64(server.connected()) }),
	)
	for _, typeURL := range pushOrder {
		registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name:        "lambdamesh_patched_resources",
			Help:        "Resources that connected Envoys have in a form of lambdamesh's, by type.",
			ConstLabels: prometheus.Labels{"type": shortType(typeURL)},
		}, func() float64 { return float64(server.patched(typeURL)) }))
	}
	return m
}

func (m *metrics) pushed(p push) {
	m.pushes.WithLabelValues(shortType(p.typeURL), string(p.cause)).Inc()
}

func (m *metrics) refused(typeURL string, ours bool) {
	m.nacks.WithLabelValues(shortType(typeURL), strconv.FormatBool(ours)).Inc()
}

func (m *metrics) passed(err error) {
	m.passedOn.WithLabelValues(status.Code(err).String()).Inc()
}
