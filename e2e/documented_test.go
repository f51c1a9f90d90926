package e2e

import (
	"os"
	"path/filepath"
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

// entriesOf are the config entries of a section. A block that is none, such as the
// upstreams of a registration, is not among them.
func (s *story) entriesOf(section string) (entries []string) {
	s.t.Helper()
	page, err := testmesh.ReadPage("topologies.md")
	s.must(err)
	for _, block := range page.Blocks(section, "hcl") {
		if strings.HasPrefix(block, "Kind") {
			entries = append(entries, block)
		}
	}
	if len(entries) == 0 {
		s.t.Fatalf("docs/topologies.md shows no config entry under %q", section)
	}
	return entries
}
