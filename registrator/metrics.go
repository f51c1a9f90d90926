package registrator

import (
	"cmp"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	lastSuccess prometheus.Gauge
	oneByOne    prometheus.Gauge
	changes     *prometheus.CounterVec

	events       *prometheus.CounterVec
	failedEvents prometheus.Counter
	eventAge     prometheus.Histogram
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
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lambdamesh_registrator_events_total",
			Help: "Events received from the queue, each delivery of them, by what they ask for; unreadable are those that cannot be read.",
		}, []string{"kind"}),
		failedEvents: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "lambdamesh_registrator_events_failed_total",
			Help: "Events that could not be read or handled; SQS delivers them again.",
		}),
		eventAge: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "lambdamesh_registrator_event_age_seconds",
			Help:    "From what happened in AWS, by the event's time, to Consul having it.",
			Buckets: []float64{0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600},
		}),
	}
	for _, kind := range Kinds() {
		m.changes.WithLabelValues(string(kind)) // so that each is there from the start
	}
	for _, kind := range []EventKind{EventLook, EventSync, EventNothing, unreadable} {
		m.events.WithLabelValues(string(kind))
	}
	if registerer == nil {
		return m, nil
	}
	for _, collector := range []prometheus.Collector{m.lastSuccess, m.oneByOne, m.changes, m.events, m.failedEvents, m.eventAge} {
		if err := registerer.Register(collector); err != nil {
			return nil, fmt.Errorf("registering metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) succeeded(now time.Time) { m.lastSuccess.Set(float64(now.UnixMilli()) / 1000) }

func (m *metrics) changed(kind Kind) { m.changes.WithLabelValues(string(kind)).Inc() }

// unreadable stands for the kind of an event that cannot be read.
const unreadable EventKind = "unreadable"

// handled notes what became of an event.
func (m *metrics) handled(event Event, err error, now time.Time) {
	m.events.WithLabelValues(string(cmp.Or(event.Kind, unreadable))).Inc()
	switch {
	case err != nil:
		m.failedEvents.Inc()
	case event.Kind != EventNothing && !event.At.IsZero():
		m.eventAge.Observe(max(0, now.Sub(event.At).Seconds()))
	}
}
