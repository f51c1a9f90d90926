package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// documented writes the config entries that a section of docs/topologies.md shows, in
// their order and as its reader would: what stands there is what is tested. Pairs of
// replaced are old and new texts, for what a test cannot choose: ports.
func (s *story) documented(section string, replaced ...string) {
	s.t.Helper()
	file := filepath.Join(s.t.TempDir(), "entry.hcl")
	for _, entry := range s.entriesOf(section) {
		s.must(os.WriteFile(file, []byte(strings.NewReplacer(replaced...).Replace(entry)), 0o600))
		_, err := s.Consul.CLI(s.ctx, s.Consul.ManagementToken(), "config", "write", file)
		s.must(err)
	}
}

var (
	hclBlock = regexp.MustCompile("(?s)```hcl\n(.*?)```")
	heading  = regexp.MustCompile(`(?m)^#+ `)
)

// entriesOf are the config entries of a section, up to the next heading of any level. A
// block that is none, such as the upstreams of a registration, is not among them.
func (s *story) entriesOf(section string) (entries []string) {
	s.t.Helper()
	root, err := testmesh.SourceRoot()
	s.must(err)
	text, err := os.ReadFile(filepath.Join(root, "docs", "topologies.md"))
	s.must(err)
	for _, part := range heading.Split(string(text), -1) {
		if title, body, _ := strings.Cut(part, "\n"); title == section {
			for _, block := range hclBlock.FindAllStringSubmatch(body, -1) {
				if strings.HasPrefix(block[1], "Kind") {
					entries = append(entries, block[1])
				}
			}
		}
	}
	if len(entries) == 0 {
		s.t.Fatalf("docs/topologies.md shows no config entry under %q", section)
	}
	return entries
}
