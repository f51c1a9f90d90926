package main

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// module is a module of Go that stands in a program.
type module struct {
	path, version string
	dir           string // its files
	legal         legal
}

// program is a binary of Go and what it is made of.
type program struct {
	path    string // of the main package
	sha256  string // of the file
	goVers  string // such as go1.26.7
	arch    string // GOOS/GOARCH
	modules []module
}

// readProgram reads what the linker wrote into a binary, or into the one that is the first
// in a zip file, and the licences of it all. The modules are fetched if they are not in
// Go's cache.
func readProgram(ctx context.Context, file string) (program, error) {
	content, err := readBinary(file)
	if err != nil {
		return program{}, err
	}
	info, err := buildinfo.Read(bytes.NewReader(content))
	if err != nil {
		return program{}, fmt.Errorf("%s: %w", file, err)
	}
	sum := sha256.Sum256(content)
	p := program{path: info.Path, sha256: hex.EncodeToString(sum[:]), goVers: info.GoVersion}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	p.arch = settings["GOOS"] + "/" + settings["GOARCH"]
	for _, dep := range info.Deps {
		if dep.Replace != nil {
			dep = dep.Replace
		}
		p.modules = append(p.modules, module{path: dep.Path, version: dep.Version})
	}
	if len(p.modules) == 0 {
		return program{}, fmt.Errorf("%s names no modules", file)
	}
	if err := locate(ctx, p.modules); err != nil {
		return program{}, err
	}
	root, err := run(ctx, "env", "GOROOT")
	if err != nil {
		return program{}, err
	}
	std := module{path: "std", version: strings.TrimPrefix(p.goVers, "go"), dir: strings.TrimSpace(root)}
	p.modules = append(p.modules, std)
	return p, readLicences(p.modules)
}

func readBinary(file string) ([]byte, error) {
	if filepath.Ext(file) != ".zip" {
		return os.ReadFile(file)
	}
	z, err := zip.OpenReader(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = z.Close() }() // it was only read
	if len(z.File) == 0 {
		return nil, fmt.Errorf("%s is empty", file)
	}
	packed, err := z.File[0].Open()
	if err != nil {
		return nil, err
	}
	defer func() { _ = packed.Close() }()
	return io.ReadAll(packed)
}

// locate fills in the folders of the modules' files.
func locate(ctx context.Context, modules []module) error {
	args := []string{"mod", "download", "-json"}
	for _, m := range modules {
		args = append(args, m.path+"@"+m.version)
	}
	text, err := run(ctx, args...)
	if err != nil {
		return err
	}
	dirs := map[string]string{}
	for decoder := json.NewDecoder(strings.NewReader(text)); ; {
		var m struct{ Path, Version, Dir string }
		if err := decoder.Decode(&m); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return fmt.Errorf("reading go mod download: %w", err)
		}
		dirs[m.Path+"@"+m.Version] = m.Dir
	}
	for i, m := range modules {
		modules[i].dir = dirs[m.path+"@"+m.version]
	}
	return nil
}

// dependencies are the modules of all packages of the working directory's module, those
// of the tests too.
func dependencies(ctx context.Context) ([]module, error) {
	text, err := run(ctx, "list", "-deps", "-test", "-tags", "extra,release,lambda.norpc",
		"-f", "{{with .Module}}{{if not .Main}}{{.Path}}\t{{.Version}}\t{{.Dir}}{{end}}{{end}}", "./...")
	if err != nil {
		return nil, err
	}
	lines := strings.Split(text, "\n")
	slices.Sort(lines)
	var modules []module
	for _, line := range slices.Compact(lines) {
		if fields := strings.Split(line, "\t"); len(fields) == 3 {
			modules = append(modules, module{path: fields[0], version: fields[1], dir: fields[2]})
		}
	}
	return modules, readLicences(modules)
}

// readLicences fills in the modules' licences. The error names every module whose are not
// allowed.
func readLicences(modules []module) error {
	var wrong []error
	for i := range modules {
		m := &modules[i]
		var err error
		if m.legal, err = readLegal(m.dir); err != nil {
			wrong = append(wrong, fmt.Errorf("%s %s: %w", m.path, m.version, err))
		}
	}
	return errors.Join(wrong...)
}

func run(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	var says bytes.Buffer
	cmd.Stderr = &says
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", args[0], err, says.String())
	}
	return string(out), nil
}
