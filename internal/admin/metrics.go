package admin

import (
	"time"

	"github.com/lambdamesh/lambdamesh/lambda"
	"github.com/prometheus/client_golang/prometheus"
)

// TableMetrics are the metrics of the Table, computed when they are read.
//
//	lambdamesh_services{state}      services whose Meta speaks of Lambda
//	lambdamesh_table_age_seconds    since Consul confirmed the Table; absent before
//	                                the first, at most about 60 if all is well
func TableMetrics(table func() Table) prometheus.Collector {
	return tableMetrics{table: table}
}

type tableMetrics struct{ table func() Table }

var (
	servicesDesc = prometheus.NewDesc("lambdamesh_services",
		"Services whose service-defaults Meta speaks of Lambda, by state.", []string{"state"}, nil)
	ageDesc = prometheus.NewDesc("lambdamesh_table_age_seconds",
		"Seconds since Consul confirmed the Lambda services in use.", nil, nil)
)

// Describe is part of prometheus.Collector.
func (m tableMetrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- servicesDesc
	ch <- ageDesc
}

// Collect is part of prometheus.Collector.
func (m tableMetrics) Collect(ch chan<- prometheus.Metric) {
	table := m.table()
	count := map[lambda.State]float64{}
	for _, s := range table.Table.Services() {
		count[s.State]++
	}
	for _, s := range []lambda.State{lambda.StateOK, lambda.StateError, lambda.StateDisabled, lambda.StateConflict} {
		ch <- prometheus.MustNewConstMetric(servicesDesc, prometheus.GaugeValue, count[s], string(s))
	}
	if !table.Confirmed.IsZero() {
		ch <- prometheus.MustNewConstMetric(ageDesc, prometheus.GaugeValue, time.Since(table.Confirmed).Seconds())
	}
}
