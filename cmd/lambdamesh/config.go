package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// flagConfig names the file from which flags are taken that were not given otherwise.
const flagConfig = "config"

// maxConfig bounds the configuration file, in bytes.
const maxConfig = 1 << 20

// configFile is a YAML mapping of the names of flags to their values: a word, a number,
// or a list of such.
type configFile struct {
	path     string
	settings []setting       // in the order of the file
	applied  map[string]bool // the flags that it filled
}

// setting is a line of it.
type setting struct {
	line   int
	name   string
	values []string
}

// readConfig reads a file. The error names the line.
func readConfig(path string) (*configFile, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, badValue(flagConfig, err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxConfig+1))
	if err != nil {
		return nil, badValue(flagConfig, err)
	}
	if len(text) > maxConfig {
		return nil, badValue(flagConfig, fmt.Errorf("%s is larger than %d bytes", path, maxConfig))
	}
	if bytes.IndexByte(text, 0) >= 0 { // where the YAML library would take it to end
		return nil, badValue(flagConfig, fmt.Errorf("%s is not a text", path))
	}
	var document, more yaml.Node
	documents := yaml.NewDecoder(bytes.NewReader(text))
	if err := documents.Decode(&document); err != nil && !errors.Is(err, io.EOF) {
		return nil, badValue(flagConfig, fmt.Errorf("%s: %w", path, err))
	}
	c := &configFile{path: path, applied: map[string]bool{}}
	if documents.Decode(&more) == nil {
		return nil, c.wrong(more.Line, errors.New("a second document begins, of which nothing would be read"))
	}
	if len(document.Content) == 0 || document.Content[0].Tag == "!!null" {
		return c, nil // an empty file
	}
	top := document.Content[0]
	if top.Kind != yaml.MappingNode {
		return nil, c.wrong(top.Line, errors.New("not a mapping of the names of flags to their values"))
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(top.Content); i += 2 {
		key, value := top.Content[i], top.Content[i+1]
		if before := seen[key.Value]; before > 0 {
			return nil, c.wrong(key.Line, fmt.Errorf("%s stands there twice, first in line %d", key.Value, before))
		}
		seen[key.Value] = key.Line
		values, ok := valuesOf(value)
		if !ok {
			return nil, c.wrong(value.Line, fmt.Errorf("%s is neither a value nor a list of values", key.Value))
		}
		c.settings = append(c.settings, setting{key.Line, key.Value, values})
	}
	return c, nil
}

func valuesOf(node *yaml.Node) (values []string, ok bool) {
	switch {
	case node.Kind == yaml.ScalarNode && node.Tag != "!!null":
		return []string{node.Value}, true
	case node.Kind != yaml.SequenceNode:
		return nil, false
	}
	for _, one := range node.Content {
		if one.Kind != yaml.ScalarNode || one.Tag == "!!null" {
			return nil, false
		}
		values = append(values, one.Value)
	}
	return values, true
}

func (c *configFile) wrong(line int, err error) error {
	return badValue(flagConfig, fmt.Errorf("%s, line %d: %w", c.path, line, err))
}

// apply fills the flags of a command that were given neither on the command line nor in
// the environment. The file may serve several commands: a flag of another one is left
// alone, a name that none has is a mistake. The error names no value.
func (c *configFile) apply(flags *pflag.FlagSet, known map[string]bool) error {
	for _, s := range c.settings {
		f := flags.Lookup(s.name)
		if f != nil && f.Name != s.name { // by the name that Consul's own tools give it
			f = nil
		}
		switch {
		case s.name == flagConfig || s.name == "help":
			return c.wrong(s.line, fmt.Errorf("%s has no place in the file itself", s.name))
		case f == nil && !known[s.name]:
			err := fmt.Errorf("there is no flag --%s", s.name)
			if name := cmp.Or(consulNames[s.name], closest(s.name, known)); name != "" {
				err = fmt.Errorf("%w; is it %s?", err, name)
			}
			return c.wrong(s.line, err)
		case f == nil || f.Changed:
			continue
		}
		if len(s.values) > 1 && !takesSeveral(f) {
			return c.wrong(s.line, fmt.Errorf("--%s takes one value", s.name))
		}
		for _, value := range s.values {
			if err := flags.Set(s.name, value); err != nil {
				return c.wrong(s.line, fmt.Errorf("--%s: %w", s.name, unwrapped(err)))
			}
		}
		c.applied[s.name] = true
	}
	return nil
}

func takesSeveral(f *pflag.Flag) bool {
	_, slice := f.Value.(pflag.SliceValue)
	_, roles := f.Value.(*roles)
	return slice || roles
}

// fill completes the flags of a command from the environment, then from the file that
// --config names, which the command's context then has for reload.
func (env environment) fill(cmd *cobra.Command) error {
	if err := env.apply(cmd.Flags()); err != nil {
		return err
	}
	path := cmd.Flags().Lookup(flagConfig).Value.String()
	if path == "" {
		return nil
	}
	file, err := readConfig(path)
	if err != nil {
		return err
	}
	cmd.SetContext(context.WithValue(cmd.Context(), configKey{}, file))
	return file.apply(cmd.Flags(), namesOf(cmd.Root()))
}

// configKey is the key of a context for the file in force.
type configKey struct{}

// namesOf are the names of all flags of all commands.
func namesOf(root *cobra.Command) map[string]bool {
	names := map[string]bool{}
	collect(root, names)
	return names
}

// newConfig is `lambdamesh config`.
func newConfig() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Work with the configuration file", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(&cobra.Command{
		Use:   "check",
		Short: "Check the file that --config names, and start nothing",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			path := cmd.Flags().Lookup(flagConfig).Value.String()
			if path == "" {
				return errors.New("--config: no file was named")
			}
			file, err := readConfig(path)
			if err != nil {
				return err
			}
			if err := file.check(cmd.Root()); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %d settings, all right\n", path, len(file.settings))
			return failed(err)
		},
	})
	return cmd
}

// check tries the file on each command for itself.
func (c *configFile) check(root *cobra.Command) error {
	known := namesOf(root)
	serve := &serveCommand{}
	for _, cmd := range []*cobra.Command{serve.command(), newRegistrator(), newSync(), newInspect(), newDoctor()} {
		if err := c.apply(cmd.Flags(), known); err != nil {
			return err
		}
	}
	if err := cmp.Or(serve.validate(), serve.registrator.validate()); err != nil {
		return badValue(flagConfig, fmt.Errorf("%s: %w", c.path, err))
	}
	return nil
}
