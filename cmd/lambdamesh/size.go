package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// size is a flag's value in bytes: a whole number, with KiB, MiB or GiB after it
// or nothing.
type size int

var sizeUnits = []struct {
	suffix string
	factor int
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}}

// Set is part of pflag.Value.
func (s *size) Set(text string) error {
	number, factor := text, 1
	for _, u := range sizeUnits {
		if rest, ok := strings.CutSuffix(text, u.suffix); ok {
			number, factor = strings.TrimSpace(rest), u.factor
		}
	}
	n, err := strconv.Atoi(number)
	if err != nil || n <= 0 || n > math.MaxInt32/factor {
		return fmt.Errorf("not a size as in 50MiB, below 2GiB")
	}
	*s = size(n * factor)
	return nil
}

// String is part of pflag.Value.
func (s *size) String() string {
	for i := len(sizeUnits) - 1; i >= 0; i-- {
		if u := sizeUnits[i]; *s > 0 && int(*s)%u.factor == 0 {
			return strconv.Itoa(int(*s)/u.factor) + u.suffix
		}
	}
	return strconv.Itoa(int(*s))
}

// Type is part of pflag.Value.
func (s *size) Type() string { return "size" }
