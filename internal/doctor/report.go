// Package doctor checks, from where it stands, what lambdamesh needs to work: Consul and
// the rights there, AWS and the rights there, an Envoy. It changes nothing.
package doctor

import (
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
	Next    string  `json:"next"`           // what to do; empty if nothing
	Rule    string  `json:"rule,omitempty"` // what is missing in the policy, to be pasted into it

	policy policy // that the rule is for
}

// policy is what a rule belongs into; its words stand over the rules of a report.
type policy string

const (
	consulPolicy policy = "To add to the policy of lambdamesh's Consul token:"
	iamPolicy    policy = "Statements to add to the IAM policy of these credentials:"
)

// Report is all findings, in the order of the checks, whichever ended first.
type Report struct {
	Findings []Finding `json:"findings"`

	bound time.Duration // of one question to anybody
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

func (r *Report) add(check string, v Verdict, text, next string) *Finding {
	// One line each, whatever a server answers.
	oneLine := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	r.Findings = append(r.Findings, Finding{Check: check, Verdict: v, Text: oneLine(text), Next: oneLine(next)})
	return &r.Findings[len(r.Findings)-1]
}

// WriteJSON writes the report for programs.
func (r *Report) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(r)
}

// WriteTable writes the report for people: a line for each check, below it what to do,
// and at the end the rules that are missing, to be pasted.
func (r *Report) WriteTable(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range r.Findings {
		fmt.Fprintf(table, "%s\t%s\t%s\n", f.Verdict, f.Check, f.Text)
		if f.Next != "" {
			fmt.Fprintf(table, "\t\t-> %s\n", f.Next)
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, of := range []policy{consulPolicy, iamPolicy} {
		if rules := r.rules(of); len(rules) > 0 {
			if _, err := fmt.Fprintf(w, "\n%s\n\n%s\n", of, strings.Join(rules, of.separator())); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p policy) separator() string {
	if p == iamPolicy { // JSON
		return ",\n"
	}
	return "\n"
}

// rules are those that are missing in a policy, each once.
func (r *Report) rules(of policy) []string {
	var rules []string
	seen := map[string]bool{}
	for _, f := range r.Findings {
		if f.policy == of && f.Rule != "" && !seen[f.Rule] {
			seen[f.Rule] = true
			rules = append(rules, f.Rule)
		}
	}
	return rules
}
