// Package doctor checks, from where it stands, what lambdamesh needs to work: Consul and
// the rights there, AWS and the rights there, an Envoy. It changes nothing.
package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// Verdict is how a check ended.
type Verdict string

// The verdicts.
const (
	OK   Verdict = "ok"
	Warn Verdict = "warn" // something works less well, or only some things need it
	Fail Verdict = "fail"
	Skip Verdict = "skip" // what it needs was not given, or failed before
)

// Finding is one check and what came of it.
type Finding struct {
	Check   string  `json:"check"`
	Verdict Verdict `json:"verdict"`
	Text    string  `json:"text"`
	Next    string  `json:"next"` // what to do; empty if nothing
}

// Report is all findings, in the order in which they were made.
type Report struct {
	Findings []Finding `json:"findings"`
}

// Failed reports whether a check failed.
func (r *Report) Failed() bool {
	for _, f := range r.Findings {
		if f.Verdict == Fail {
			return true
		}
	}
	return false
}

func (r *Report) add(check string, v Verdict, text, next string) {
	// One line each, whatever a server answers.
	oneLine := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	r.Findings = append(r.Findings, Finding{Check: check, Verdict: v, Text: oneLine(text), Next: oneLine(next)})
}

// WriteJSON writes the report for programs.
func (r *Report) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(r)
}

// WriteTable writes the report for people: a line for each check, and below it what to
// do.
func (r *Report) WriteTable(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range r.Findings {
		fmt.Fprintf(table, "%s\t%s\t%s\n", f.Verdict, f.Check, f.Text)
		if f.Next != "" {
			fmt.Fprintf(table, "\t\t-> %s\n", f.Next)
		}
	}
	return table.Flush()
}

// askTimeout bounds one question to anybody.
const askTimeout = 10 * time.Second

func asking(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, askTimeout)
}
