package main

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// perSecond is a flag's value of so many a second: a whole number above zero, with /s
// after it or nothing.
type perSecond int

// Set is part of pflag.Value.
func (p *perSecond) Set(text string) error {
	n, err := strconv.Atoi(strings.TrimSuffix(text, "/s"))
	if err != nil || n <= 0 || n > math.MaxInt32 {
		return errors.New("not a rate as in 500/s, above zero")
	}
	*p = perSecond(n)
	return nil
}

// String is part of pflag.Value.
func (p *perSecond) String() string { return strconv.Itoa(int(*p)) + "/s" }

// Type is part of pflag.Value.
func (p *perSecond) Type() string { return "rate" }
