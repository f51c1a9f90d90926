package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// choice is a flag's value out of a few words.
type choice struct {
	value *string
	words []string
}

// choiceVar declares a flag whose default is the first word.
func choiceVar(flags *pflag.FlagSet, value *string, name, usage string, words ...string) {
	choiceVarP(flags, value, name, "", usage, words...)
}

// choiceVarP is choiceVar with a letter for short.
func choiceVarP(flags *pflag.FlagSet, value *string, name, letter, usage string, words ...string) {
	*value = words[0]
	flags.VarP(&choice{value: value, words: words}, name, letter, usage+" ("+strings.Join(words, ", ")+")")
}

// Set is part of pflag.Value.
func (c *choice) Set(text string) error {
	if !slices.Contains(c.words, text) {
		return fmt.Errorf("not one of %s", strings.Join(c.words, ", "))
	}
	*c.value = text
	return nil
}

// String is part of pflag.Value.
func (c *choice) String() string {
	if c.value == nil {
		return ""
	}
	return *c.value
}

// Type is part of pflag.Value.
func (c *choice) Type() string { return "word" }
