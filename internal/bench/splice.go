package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"

	"github.com/lambdamesh/lambdamesh/internal/bench/report"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// The limits on scanning a response and patching one resource among many in it.
const (
	spliceLimit = 1.5 // times what copying the frame takes
	allocsLimit = 40
)

// Units that a Go benchmark reports.
const (
	unitMemcpy = "x-memcpy"
	unitAllocs = "allocs/op"
)

// splice runs the benchmarks of package xds whose names begin with BenchmarkLimit:
// each reports how many times what a memcpy of the frame takes it took, and what it
// allocated. They stand there because what they measure is nobody else's.
func splice(ctx context.Context, s *stage) error {
	root, err := testmesh.SourceRoot()
	if err != nil {
		return err
	}
	run := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^BenchmarkLimit", "-benchmem", "-timeout", "3m", "./xds")
	run.Dir = root
	out, err := run.CombinedOutput()
	if err != nil {
		return fmt.Errorf("running the benchmarks of package xds: %w\n%s", err, out)
	}
	found := readBenchmarks(out)
	if len(found) == 0 {
		return errors.New("package xds has no benchmark whose name begins with BenchmarkLimit")
	}
	for _, b := range found {
		if v, ok := b.values[unitMemcpy]; ok {
			s.add(report.AtMost("splice/"+b.name+"/to-memcpy", v, "ratio", spliceLimit))
		}
		if v, ok := b.values[unitAllocs]; ok {
			s.add(report.AtMost("splice/"+b.name+"/allocs", v, "allocs", allocsLimit))
		}
		if v, ok := b.values["ns/op"]; ok {
			s.add(report.Plain("splice/"+b.name+"/time", v/1e6, "ms"))
		}
	}
	return nil
}

// benchmark is a line of "go test -bench": what it reported, by unit.
type benchmark struct {
	name   string
	values map[string]float64
}

// readBenchmarks reads such lines, as in "BenchmarkName-2  100  12.5 ns/op  3 allocs/op".
func readBenchmarks(out []byte) (found []benchmark) {
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) < 4 || !strings.HasPrefix(words[0], "Benchmark") {
			continue
		}
		name := strings.TrimPrefix(words[0], "Benchmark")
		if at := strings.LastIndexByte(name, '-'); at > 0 { // the number of processors
			name = name[:at]
		}
		b := benchmark{name: name, values: map[string]float64{}}
		for i := 2; i+1 < len(words); i += 2 {
			if v, err := strconv.ParseFloat(words[i], 64); err == nil {
				b.values[words[i+1]] = v
			}
		}
		found = append(found, b)
	}
	return found
}
