package testmesh

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// CheckServe has a lambdamesh check the arguments of "serve", of the forms --flag and
// --flag VALUE, without starting anything, by "config check": a file takes what flags take.
func CheckServe(ctx context.Context, lambdamesh string, args []string) error {
	if len(args) == 0 || args[0] != "serve" {
		return fmt.Errorf("these are no arguments of serve: %q", args)
	}
	settings := map[string]string{}
	for rest := args[1:]; len(rest) > 0; {
		name, ok := strings.CutPrefix(rest[0], "--")
		if !ok {
			return fmt.Errorf("%q is no flag", rest[0])
		}
		rest = rest[1:]
		settings[name] = "true"
		if len(rest) > 0 && !strings.HasPrefix(rest[0], "--") {
			settings[name], rest = rest[0], rest[1:]
		}
	}
	text, err := yaml.Marshal(settings)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "lambdamesh-")
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "lambdamesh.yaml")
	if err = os.WriteFile(file, text, 0o600); err == nil {
		var out []byte
		if out, err = exec.CommandContext(ctx, lambdamesh, "config", "check", "--config", file).CombinedOutput(); err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
	}
	return errors.Join(err, os.RemoveAll(dir))
}
