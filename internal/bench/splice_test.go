package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadBenchmarks(t *testing.T) {
	out := `goos: linux
pkg: github.com/lambdamesh/lambdamesh/xds
BenchmarkLimitScan/clusters=1000-2         	    2155	    552034 ns/op	         0.5983 x-memcpy	   80210 B/op	      27 allocs/op
BenchmarkLimitPatch 	     100	     12.5 ns/op
--- BENCH: BenchmarkLimitPatch
    some_test.go:1: a note
PASS
ok  	github.com/lambdamesh/lambdamesh/xds	3.021s
`
	want := []benchmark{
		{"LimitScan/clusters=1000", map[string]float64{"ns/op": 552034, "x-memcpy": 0.5983, "B/op": 80210, "allocs/op": 27}},
		{"LimitPatch", map[string]float64{"ns/op": 12.5}},
	}
	if diff := cmp.Diff(want, readBenchmarks([]byte(out)), cmp.AllowUnexported(benchmark{})); diff != "" {
		t.Error(diff)
	}
}
