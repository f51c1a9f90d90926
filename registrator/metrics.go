package registrator

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	lastSuccess prometheus.Gauge
	oneByOne    prometheus.Gauge
	changes     *prometheus.CounterVec
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		lastSuccess: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "lambdamesh_registrator_last_success_timestamp_seconds",
			Help: "When the last full sync without an error ended, in seconds since 1970; 0 before the first.",
		}),
		oneByOne: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "lambdamesh_registrator_one_by_one_listings",
			Help: "Accounts and regions in which the last full sync read each function's tags by a call of its own, because tag:GetResources is denied.",
		}),
		changes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lambdamesh_registrator_changes_total",
			Help: "Changes made in Consul, by kind; conflict counts a conflict once in each run that finds it.",
		}, []string{"kind"}),
	}
	for _, kind := range Kinds() {
		m.changes.WithLabelValues(string(kind)) // so that each is there from the start
	}
	if registerer == nil {
		return m, nil
	}
	for _, collector := range []prometheus.Collector{m.lastSuccess, m.oneByOne, m.changes} {
		if err := registerer.Register(collector); err != nil {
			return nil, fmt.Errorf("registering metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) succeeded(now time.Time) { m.lastSuccess.Set(float64(now.UnixMilli()) / 1000) }

func (m *metrics) changed(kind Kind) { m.changes.WithLabelValues(string(kind)).Inc() }
