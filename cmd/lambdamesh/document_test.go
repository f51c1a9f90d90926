package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var update = flag.Bool("update", false, "write docs/cli.md anew")

const documentHead = "# Commands and flags\n" + `
Made from the code by ` + "`go test ./cmd/lambdamesh -run TestDocument -update`" + `.

- A flag ` + "`--a-b`" + ` may be given as the variable ` + "`LAMBDAMESH_A_B`" + `, or as ` + "`a-b`" + ` in the file of ` + "`--config`" + `. The first of these counts: flag,
  its variable, the variables of Consul or AWS that are named in the table, file, default.
- Long flags may be typed with one dash, as Consul's are. Names of Consul's flags are understood: %s.
- A flag that takes several values may be given several times; in the file its value is a list.
- Secrets have no flags: they come from files and from the environment, and are not printed.
- Exit codes: 0; 1, it ran and failed; 2, a wrong command, flag or value, said in one line that begins with ` + "`lambdamesh:`" + `, and nothing was begun.
- SIGTERM and SIGINT end the servers in order (` + "`--drain-timeout`" + `), with 0; a second one at once. SIGHUP reads the file of ` + "`--config`" + ` again.

A file for all commands:

` + "```yaml" + `
regions: [us-east-1, eu-west-1]
sync-interval: 2m
log-format: json
` + "```" + `

` + "`lambdamesh config check --config FILE`" + ` finds its mistakes and starts nothing. When it is read again, the log level, the sync interval
and the regions change at once; for all else
the log says that a restart is needed, and a file with a mistake leaves in force what is. Certificates are read again by themselves.
`

// document is docs/cli.md: every command and flag, so that what is documented is what
// there is.
func document() string {
	root := newRoot(variables(nil), io.Discard, io.Discard)
	root.InitDefaultCompletionCmd()
	aliased := make([]string, 0, len(consulNames))
	for name, ours := range consulNames {
		aliased = append(aliased, fmt.Sprintf("`--%s` is `--%s`", name, ours))
	}
	slices.Sort(aliased)
	var b strings.Builder
	fmt.Fprintf(&b, documentHead, strings.Join(aliased, ", "))
	describe(&b, root)
	return b.String()
}

func describe(b *strings.Builder, cmd *cobra.Command) {
	if cmd.HasParent() {
		fmt.Fprintf(b, "\n## %s\n\n%s.\n", cmd.CommandPath(), cmd.Short)
	}
	switch {
	case cmd.Name() == "completion": // cobra's own: one for each shell
		var shells []string
		for _, shell := range cmd.Commands() {
			shells = append(shells, "`"+shell.Name()+"`")
		}
		fmt.Fprintf(b, "\nShells: %s. `lambdamesh completion SHELL --help` says how its output is loaded.\n", strings.Join(shells, ", "))
		return
	case cmd.Long != "":
		fmt.Fprintf(b, "\n%s\n", cmd.Long)
	}
	if cmd.HasParent() && !cmd.HasSubCommands() {
		fmt.Fprintf(b, "\n    %s\n", cmd.UseLine())
	}
	if flags := cmd.NonInheritedFlags(); cmd.HasParent() && flags.HasAvailableFlags() {
		b.WriteString("\n| flag | default | meaning |\n|---|---|---|\n")
		flags.VisitAll(func(f *pflag.Flag) { row(b, f) })
	}
	for _, sub := range cmd.Commands() {
		describe(b, sub)
	}
}

// row is a flag's. A default that the flag's own text names stands there alone.
func row(b *strings.Builder, f *pflag.Flag) {
	if f.Name == "help" {
		return
	}
	value, usage := pflag.UnquoteUsage(f)
	name := "`--" + strings.TrimSpace(f.Name+" "+value) + "`"
	if f.Shorthand != "" {
		name = "`-" + f.Shorthand + "`, " + name
	}
	if others := f.Annotations[otherVariables]; len(others) > 0 {
		usage += "; else `" + strings.Join(others, "`, `") + "`"
	}
	def := strings.Trim(f.DefValue, "[]")
	switch {
	case f.Value.Type() == "bool" && def == "false":
		def = "off"
	case f.Value.Type() == "bool":
		def = "on"
	case def != "":
		def = "`" + def + "`"
	}
	// A * between words would begin an emphasis.
	fmt.Fprintf(b, "| %s | %s | %s |\n", name, def, strings.NewReplacer("|", `\|`, "*", `\*`).Replace(usage))
}

func TestDocument(t *testing.T) {
	const path = "../../docs/cli.md"
	if *update {
		if err := os.WriteFile(path, []byte(document()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	there, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(there) != document() {
		t.Error("docs/cli.md is not what the program says: go test ./cmd/lambdamesh -run TestDocument -update")
	}
}

// others are flags of other programs that pages speak of, and the pattern of one.
var others = []string{"a-b", "concurrency", "drain-strategy", "json", "name", "post-renderer", "resource", "strict", "tags", "tag-keys"}

// othersCommand is a command line of another program, with its further lines.
var othersCommand = regexp.MustCompile(`(?m)^ *(?:aws|helm|jq|kubectl|nomad) (?:[^\n]*\\\n)*[^\n]*$`)

// TestPagesKnowTheFlags: each flag that a page names is there.
func TestPagesKnowTheFlags(t *testing.T) {
	root := newRoot(variables(nil), io.Discard, io.Discard)
	known := map[string]bool{"help": true, "version": true}
	collect(root, known)
	for name := range consulNames {
		known[name] = true
	}
	for _, name := range others {
		known[name] = true
	}
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(pages) < 10 {
		t.Fatalf("found %v, %v", pages, err)
	}
	named := regexp.MustCompile("(?m)(?:^|[\\s(`])--([a-z][a-z-]*[a-z])")
	for _, page := range append(pages, "../../README.md") {
		if filepath.Base(page) == "install-packages.md" {
			continue // its commands are those of package managers, and run by a test
		}
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range named.FindAllStringSubmatch(othersCommand.ReplaceAllString(string(text), ""), -1) {
			if !known[match[1]] {
				t.Errorf("%s names --%s, which is no flag of lambdamesh's", filepath.Base(page), match[1])
			}
		}
	}
}
