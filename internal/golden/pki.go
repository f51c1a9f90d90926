package golden

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// The files of testdata/pki.
const (
	CA      = "ca.pem"
	Leaf    = "leaf.pem"
	LeafKey = "leaf-key.pem"
)

// pkiReference stands in a golden file before the name of a file of testdata/pki.
const pkiReference = "@pki/"

// Root is the folder of the module that the working directory is in.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if filepath.Dir(dir) == dir {
			return "", errors.New("no go.mod in the working directory or above it")
		}
		dir = filepath.Dir(dir)
	}
}

// PKI reads a file of testdata/pki.
func PKI(name string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	b, err := os.ReadFile(filepath.Join(root, "testdata", "pki", name))
	return string(b), err
}

// pkiReplacer puts references for contents, or contents for references.
func pkiReplacer(expand bool) (func(string) string, error) {
	pairs := map[string]string{}
	for _, name := range []string{CA, Leaf, LeafKey} {
		content, err := PKI(name)
		if err != nil {
			return nil, fmt.Errorf("reading testdata/pki: %w", err)
		}
		content = strings.TrimSpace(content)
		if expand {
			pairs[pkiReference+name] = content + "\n"
		} else {
			pairs[content] = pkiReference + name
		}
	}
	return func(s string) string {
		if to, ok := pairs[strings.TrimSpace(s)]; ok {
			return to
		}
		return s
	}, nil
}

// Reference is what stands in a golden file for a file of testdata/pki.
func Reference(name string) string { return pkiReference + name }
