package report_test

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lambdamesh/lambdamesh/internal/bench/report"
)

func TestQuantile(t *testing.T) {
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(100 - i) // 100 to 1: in no order that may be relied on
	}
	for _, c := range []struct {
		samples []float64
		q, want float64
	}{
		{[]float64{7}, 0.99, 7},
		{[]float64{3, 1, 2}, 0, 1},
		{[]float64{3, 1, 2}, 0.5, 2},
		{[]float64{3, 1, 2}, 1, 3},
		{hundred, 0.5, 50},
		{hundred, 0.99, 99},
	} {
		if got := report.Quantile(c.samples, c.q); got != c.want {
			t.Errorf("Quantile(%v, %v) = %v, want %v", c.samples, c.q, got, c.want)
		}
	}
	if got := report.Quantile(nil, 0.5); !math.IsNaN(got) {
		t.Errorf("Quantile of nothing = %v, want NaN", got)
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		samples []float64
		want    float64
	}{
		{[]float64{5}, 5},
		{[]float64{9, 1, 5}, 5},
		{[]float64{9, 1, 5, 3}, 4},
	} {
		if got := report.Median(c.samples); got != c.want {
			t.Errorf("Median(%v) = %v, want %v", c.samples, got, c.want)
		}
	}
	if got := report.Median(nil); !math.IsNaN(got) {
		t.Errorf("Median of nothing = %v, want NaN", got)
	}
}

// results are one of each sort, within their limits and not.
func results() []report.Result {
	return []report.Result{
		report.AtMost("hop", 1.25, "ratio", 1.3),
		report.AtMost("memory", 1234.4, "kB", 80),
		report.AtLeast("fan-out", 0.4, "ratio", 0.5),
		report.Exactly("sent", 100, "resources", 100),
		report.Plain("time", 0.0123, "ms"),
		report.Missing("splice", "there is none"),
	}
}

func TestOK(t *testing.T) {
	var met []bool
	for _, r := range results() {
		met = append(met, r.OK)
	}
	if diff := cmp.Diff([]bool{true, false, false, true, true, false}, met); diff != "" {
		t.Error(diff)
	}
	if report.OK(results()) || !report.OK(results()[:1]) {
		t.Error("all are well if, and only if, each is")
	}
}

func TestJSONL(t *testing.T) {
	var b strings.Builder
	if err := report.WriteJSONL(&b, results()); err != nil {
		t.Fatal(err)
	}
	want := `{"name":"hop","value":1.25,"unit":"ratio","limit":1.3,"ok":true}
{"name":"memory","value":1234.4,"unit":"kB","limit":80,"ok":false}
{"name":"fan-out","value":0.4,"unit":"ratio","limit":0.5,"ok":false}
{"name":"sent","value":100,"unit":"resources","limit":100,"ok":true}
{"name":"time","value":0.0123,"unit":"ms","limit":null,"ok":true}
{"name":"splice","value":null,"unit":"","limit":null,"ok":false}
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

func TestTable(t *testing.T) {
	var b strings.Builder
	if err := report.WriteTable(&b, results()); err != nil {
		t.Fatal(err)
	}
	want := `
what     value   unit       limit     verdict
hop      1.25    ratio      <= 1.30   ok
memory   1234    kB         <= 80     NOT OK
fan-out  0.400   ratio      >= 0.500  NOT OK
sent     100     resources  = 100     ok
time     0.0123  ms
splice   -                            NOT OK  there is none
`
	if diff := cmp.Diff(want[1:], b.String()); diff != "" {
		t.Error(diff)
	}
}
