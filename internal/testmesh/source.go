package testmesh

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// SourceRoot is the project's root: the first folder upwards from the current one that
// holds a go.mod. Tests and "go run" start inside it.
func SourceRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the project's root: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("finding the project's root: not inside a Go module")
		}
		dir = parent
	}
}

// FunctionFile is the path of a function's source in testdata/functions, such as
// "hello.py".
func FunctionFile(name string) (string, error) {
	root, err := SourceRoot()
	if err != nil {
		return "", err
	}
	return filepath.Join(root, "testdata", "functions", name), nil
}
