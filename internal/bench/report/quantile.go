package report

import (
	"math"
	"slices"
	"time"
)

// Quantile is the least of the samples that at least the share q of them do not
// exceed; NaN without samples.
func Quantile(samples []float64, q float64) float64 {
	if len(samples) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(samples))
	at := int(math.Ceil(q*float64(len(sorted)))) - 1
	return sorted[min(max(at, 0), len(sorted)-1)]
}

// Median is the middle of the samples, or between the two middle ones.
func Median(samples []float64) float64 {
	if len(samples) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(samples))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// Milliseconds is a duration in the unit that times are reported in.
func Milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
