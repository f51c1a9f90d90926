package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

// environment looks a variable up, as os.LookupEnv does.
type environment func(name string) (value string, found bool)

// twinPrefix begins the variable that is the twin of each flag.
const twinPrefix = "LAMBDAMESH_"

// otherVariables is the annotation of a flag that names the variables of Consul
// or AWS that it falls back to, the first that is set.
const otherVariables = "lambdamesh_env"

// fallBack names such variables for a flag.
func fallBack(flags *pflag.FlagSet, flag string, variables ...string) {
	// The flag was declared a line before: SetAnnotation fails for no other reason.
	if err := flags.SetAnnotation(flag, otherVariables, variables); err != nil {
		panic(err)
	}
}

// apply fills the flags that were not given from the environment: the twin
// LAMBDAMESH_A_B of --a-b first, then Consul's and AWS's own. An empty variable
// counts as unset. The error names the variable and not its value.
func (env environment) apply(flags *pflag.FlagSet) error {
	var failed error
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Changed || f.Name == "help" || failed != nil {
			return
		}
		twin := twinPrefix + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		for _, name := range append([]string{twin}, f.Annotations[otherVariables]...) {
			value, _ := env(name)
			if value == "" {
				continue
			}
			if err := flags.Set(f.Name, value); err != nil {
				failed = fmt.Errorf("%s (for --%s): %w", name, f.Name, unwrapped(err))
			}
			return
		}
	})
	return failed
}

// unwrapped is the reason alone of an error of pflag, which otherwise speaks of a
// flag that nobody typed.
func unwrapped(err error) error {
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) {
		return invalid.Unwrap()
	}
	return err
}
