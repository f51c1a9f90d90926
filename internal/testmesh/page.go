package testmesh

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// Page is one of docs/, whose commands and files tests use as they stand there.
type Page struct {
	name     string
	sections map[string][]block // by title
}

// block is what stands between two fences.
type block struct{ language, text string }

// heading is a line that begins a section, of any level.
var heading = regexp.MustCompile(`^#+ (.*)$`)

// ReadPage reads one, such as "install.md". A section ends at the next heading of any
// level; those of one title are one. Pairs of replaced are old texts, each of which must
// be there, and new ones: for what a test cannot choose, such as ports.
func ReadPage(name string, replaced ...string) (*Page, error) {
	root, err := SourceRoot()
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(root, "docs", name))
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(replaced); i += 2 {
		if !strings.Contains(string(text), replaced[i]) {
			return nil, fmt.Errorf("docs/%s has no %q", name, replaced[i])
		}
	}
	p := &Page{name: name, sections: map[string][]block{}}
	var title, indent string
	var open *block
	for line := range strings.Lines(strings.NewReplacer(replaced...).Replace(string(text))) {
		trimmed := strings.TrimSpace(line)
		fence, fenced := strings.CutPrefix(trimmed, "```")
		switch {
		case open != nil && fenced:
			p.sections[title] = append(p.sections[title], *open)
			open = nil
		case open != nil:
			open.text += strings.TrimPrefix(line, indent)
		case fenced:
			open = &block{language: fence}
			indent, _, _ = strings.Cut(line, "`")
		default:
			if match := heading.FindStringSubmatch(trimmed); match != nil {
				title = match[1]
			}
		}
	}
	if open != nil {
		return nil, fmt.Errorf("docs/%s: a block under %q does not end", name, title)
	}
	return p, nil
}

// Blocks are a section's of a language, such as "hcl", in their order.
func (p *Page) Blocks(section, language string) (texts []string) {
	for _, b := range p.sections[section] {
		if b.language == language {
			texts = append(texts, b.text)
		}
	}
	return texts
}

// Script is all of a section's shell (```sh), as a script for bash that ends at the first
// command that fails.
func (p *Page) Script(section string) (string, error) {
	blocks := p.Blocks(section, "sh")
	if len(blocks) == 0 {
		return "", fmt.Errorf("docs/%s shows no command under %q", p.name, section)
	}
	return "set -euo pipefail\n" + strings.Join(blocks, ""), nil
}

// Follow runs a section's script in a folder, and returns what it prints. The error of a
// command that fails has it all.
func (p *Page) Follow(ctx context.Context, section, dir string, env []string) (string, error) {
	script, err := p.Script(section)
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "bash", "-c", script)
	cmd.Dir, cmd.Env = dir, env
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("the commands of docs/%s under %q: %w\n%s", p.name, section, err, out)
	}
	return string(out), nil
}

// fileName is a comment that begins with a file's name, as the first line of a block.
var fileName = regexp.MustCompile(`^# ([\w.-]+\.\w+)\b`)

// WriteFiles writes a section's blocks of a language that begin by saying a file's name
// (# NAME: ...) into a folder, and returns the names.
func (p *Page) WriteFiles(section, language, dir string) (names []string, err error) {
	for _, text := range p.Blocks(section, language) {
		match := fileName.FindStringSubmatch(text)
		if match == nil {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, match[1]), []byte(text), 0o600); err != nil {
			return nil, err
		}
		names = append(names, match[1])
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("docs/%s shows no file of %s under %q", p.name, language, section)
	}
	return names, nil
}
