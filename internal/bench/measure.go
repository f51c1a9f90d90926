package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/lambdamesh/lambdamesh/internal/bench/report"
	"github.com/lambdamesh/lambdamesh/internal/parts"
)

// options are what was typed.
type options struct {
	only     *regexp.Regexp
	smoke    bool
	out      string
	profiles string
}

// row is one measurement, which may give several results.
type row struct {
	name  string
	smoke bool // it is cheap, and its limits hold on a busy machine too
	run   func(ctx context.Context, s *stage) error
}

// rows are all measurements, in the order in which they run.
var rows = []row{
	{"hop", false, hop},
	{"fan-out", false, fanOut},
	{"convergence", false, convergence},
	{"splice", true, splice},
	{"memory", true, memory},
	{"cpu", false, cpu},
	{"goroutines", true, goroutines},
	{"proxies", false, proxies},
	{"large", true, large},
	{"table-change", false, tableChange},
	{"functions", false, functions},
	{"patch-once", true, patchOnce},
	{"aws-calls", true, awsCalls},
	{"full-sync", true, fullSync},
	{"event", true, event},
	{"aws-memory", false, awsMemory},
	{"data-path", true, dataPath},
}

// bench is what all measurements share.
type bench struct {
	options
	dir        string // for all files of this run
	consul     parts.Part
	envoy      parts.Part
	lambdamesh string // the program
	results    []report.Result
}

// measure runs the measurements that were asked for.
func measure(ctx context.Context, o options) (err error) {
	b := &bench{options: o}
	if b.dir, err = os.MkdirTemp("", "lambdamesh-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if err := b.prepare(ctx); err != nil {
		return fmt.Errorf("preparing: %w", err)
	}
	for _, r := range rows {
		if ctx.Err() != nil {
			break
		}
		if !o.only.MatchString(r.name) || o.smoke && !r.smoke {
			continue
		}
		results := b.measure(ctx, r)
		if o.smoke && !report.OK(results) {
			// Where it runs as a test, the machine may have had something else to do.
			results = b.measure(ctx, r)
		}
		b.results = append(b.results, results...)
	}
	if err := b.write(); err != nil {
		return err
	}
	switch {
	case ctx.Err() != nil:
		return errors.New("interrupted")
	case len(b.results) == 0:
		return errors.New("no measurement has such a name")
	case !report.OK(b.results):
		return errMissed
	}
	return nil
}

// measure runs one measurement on a stage of its own. What fails is a result too.
func (b *bench) measure(ctx context.Context, r row) (results []report.Result) {
	fmt.Fprintf(os.Stderr, "bench: %s ...", r.name)
	begun := time.Now()
	s, err := b.open(r.name)
	if err == nil {
		if err = r.run(ctx, s); err != nil && ctx.Err() == nil {
			s.complain()
		}
		s.close()
		results = s.results
	}
	if err != nil && ctx.Err() == nil {
		results = append(results, report.Missing(r.name, firstLine(err)))
	}
	fmt.Fprintf(os.Stderr, " %.1f s\n", time.Since(begun).Seconds())
	return results
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// write prints the table, and writes the file.
func (b *bench) write() error {
	if err := report.WriteTable(os.Stdout, b.results); err != nil {
		return err
	}
	if b.out == "" {
		return nil
	}
	var lines bytes.Buffer
	if err := report.WriteJSONL(&lines, b.results); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(b.out), 0o755); err != nil {
		return err
	}
	return os.WriteFile(b.out, lines.Bytes(), 0o644)
}
