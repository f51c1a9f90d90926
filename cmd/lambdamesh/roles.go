package main

import (
	"strings"

	"github.com/lambdamesh/lambdamesh/registrator"
)

// roles is the value of --assume-role, which may be given several times. One value
// may name several roles with spaces between them, for the environment, which has
// each name once.
type roles []registrator.Role

// Set is part of pflag.Value.
func (r *roles) Set(text string) error {
	for _, field := range strings.Fields(text) {
		role, err := registrator.ParseRole(field)
		if err != nil {
			return err
		}
		*r = append(*r, role)
	}
	return nil
}

// String is part of pflag.Value.
func (r *roles) String() string {
	var names []string
	for _, role := range *r {
		names = append(names, role.ARN)
	}
	return strings.Join(names, " ")
}

// Type is part of pflag.Value.
func (r *roles) Type() string { return "role" }
