package report

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
)

// WriteTable writes the results for people.
func WriteTable(w io.Writer, results []Result) error {
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "what\tvalue\tunit\tlimit\tverdict")
	for _, r := range results {
		value, limit, verdict := "-", "", ""
		if r.Value != nil {
			value = digits(*r.Value)
		}
		if r.Limit != nil {
			limit, verdict = r.Sense+" "+digits(*r.Limit), "ok"
		}
		if !r.OK {
			verdict = "NOT OK"
		}
		if r.Note != "" {
			verdict += "  " + r.Note
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", r.Name, value, r.Unit, limit, verdict)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(b.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// digits writes a number with three significant digits, and whole ones whole.
func digits(v float64) string {
	if v == math.Trunc(v) || math.Abs(v) >= 1000 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	decimals := 2 - int(math.Floor(math.Log10(math.Abs(v))))
	return strconv.FormatFloat(v, 'f', max(decimals, 0), 64)
}
