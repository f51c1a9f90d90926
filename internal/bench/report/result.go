// Package report holds what a benchmark has measured, against its limits.
package report

import (
	"encoding/json"
	"io"
)

// Result is one line of build/bench.jsonl.
type Result struct {
	Name  string   `json:"name"`
	Value *float64 `json:"value"` // nil: it could not be measured
	Unit  string   `json:"unit"`
	Limit *float64 `json:"limit"` // nil: reported only, and then OK
	OK    bool     `json:"ok"`

	// For people only.
	Sense string `json:"-"` // how the value must stand to the limit: at most, at least, exactly
	Note  string `json:"-"` // why there is no value, or what to know of it
}

// AtMost is a value with an upper limit.
func AtMost(name string, value float64, unit string, limit float64) Result {
	return Result{Name: name, Value: &value, Unit: unit, Limit: &limit, OK: value <= limit, Sense: "<="}
}

// AtLeast is a value with a lower limit.
func AtLeast(name string, value float64, unit string, limit float64) Result {
	return Result{Name: name, Value: &value, Unit: unit, Limit: &limit, OK: value >= limit, Sense: ">="}
}

// Exactly is a count that must be right.
func Exactly(name string, value float64, unit string, limit float64) Result {
	return Result{Name: name, Value: &value, Unit: unit, Limit: &limit, OK: value == limit, Sense: "="}
}

// Plain is a value without a limit.
func Plain(name string, value float64, unit string) Result {
	return Result{Name: name, Value: &value, Unit: unit, OK: true}
}

// Missing is what could not be measured. It is never OK.
func Missing(name, why string) Result { return Result{Name: name, Note: why} }

// OK says that no result misses its limit.
func OK(results []Result) bool {
	for _, r := range results {
		if !r.OK {
			return false
		}
	}
	return true
}

// WriteJSONL writes a line of JSON for each result.
func WriteJSONL(w io.Writer, results []Result) error {
	lines := json.NewEncoder(w)
	lines.SetEscapeHTML(false)
	for _, r := range results {
		if err := lines.Encode(r); err != nil {
			return err
		}
	}
	return nil
}
