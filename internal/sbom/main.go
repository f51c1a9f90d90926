// Command sbom says what a program of ours is made of, and under which licences:
//
//	sbom -version 1.2.3 -o FILE BINARY     a bill of materials (CycloneDX, JSON) of a binary
//	sbom -notices FILE BINARY              the licences and notices that go with it
//	sbom -report                           a table of every dependency, those of tests too
//
// Instead of a binary it takes a zip file for AWS Lambda, whose first file is one.
// It fails if a module has no licence, or one that is not allowed.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
)

func main() {
	output := flag.String("o", "", "`file` for the bill of materials")
	notices := flag.String("notices", "", "`file` for the licences and notices")
	version := flag.String("version", "devel", "`version` of the program")
	report := flag.Bool("report", false, "print the licences of all dependencies")
	flag.Parse()
	ctx := context.Background()
	var err error
	switch {
	case *report && flag.NArg() == 0:
		err = printReport(ctx, os.Stdout)
	case !*report && flag.NArg() == 1:
		err = describe(ctx, flag.Arg(0), *version, *output, *notices)
	default:
		err = errors.New("give a binary, or -report")
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "sbom: %v\n", err)
		os.Exit(1)
	}
}

// describe writes the files that are asked for.
func describe(ctx context.Context, binary, version, output, notices string) error {
	p, err := readProgram(ctx, binary)
	if err != nil {
		return err
	}
	for file, write := range map[string]func(io.Writer) error{
		output:  func(w io.Writer) error { return writeBOM(w, p, version) },
		notices: func(w io.Writer) error { return writeNotices(w, p.modules) },
	} {
		if file == "" {
			continue
		}
		var text bytes.Buffer
		if err := write(&text); err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, text.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// writeNotices writes what the licences ask to be handed on with a binary.
func writeNotices(w io.Writer, modules []module) error {
	var text strings.Builder
	text.WriteString("This program contains the following modules. Their source is where Go finds them by these names and versions.\n")
	for _, m := range modules {
		fmt.Fprintf(&text, "\n%s\n%s %s (%s)\n\n", strings.Repeat("=", 80), m.path, m.version, strings.Join(m.legal.ids, ", "))
		for _, t := range m.legal.texts {
			text.WriteString(strings.TrimRight(t, "\n") + "\n\n")
		}
	}
	_, err := io.WriteString(w, text.String())
	return err
}

func printReport(ctx context.Context, w io.Writer) error {
	modules, err := dependencies(ctx)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, m := range modules {
		fmt.Fprintf(table, "%s\t%s\t%s\n", m.path, m.version, strings.Join(m.legal.ids, ", "))
	}
	return errors.Join(table.Flush(), err)
}
