package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// inPEM is in every certificate and key.
const inPEM = "-----BEGIN"

// wholeRun is what lambdamesh wrote in all stories so far, by their names and files, and
// the secrets that were used in them and that the harness has not made.
var wholeRun = struct {
	sync.Mutex
	logs    map[string]string
	secrets []string
}{logs: map[string]string{}}

// searched are the tests, and after them a search of all that lambdamesh wrote in any of
// them for each secret that was used in any.
type searched struct{ *testing.M }

// Run is goleak.TestingM's.
func (s searched) Run() int {
	code := s.M.Run()
	wholeRun.Lock()
	defer wholeRun.Unlock()
	for name, text := range wholeRun.logs {
		for _, secret := range found(text, wholeRun.secrets) {
			fmt.Fprintf(os.Stderr, "%s holds a secret that ends in %q\n", name, secret)
			code = max(code, 1)
		}
	}
	return code
}

// found are the last letters of the secrets that a text holds: of these, of those that
// the harness has made, and anything in PEM.
func found(text string, secrets []string) []string {
	var ends []string
	for _, secret := range slices.Concat(secrets, testmesh.Secrets(), []string{inPEM}) {
		if secret != "" && strings.Contains(text, secret) {
			ends = append(ends, secret[max(0, len(secret)-4):])
		}
	}
	return ends
}

// discreet searches what lambdamesh wrote in this story, and hands it to the search of
// the whole run. What a registrator in AWS Lambda logs is not in it: ministack 1.5.33
// throws that away. Its own tests search it.
func (s *story) discreet() {
	if s.Mesh == nil {
		return // it did not start
	}
	logs, err := filepath.Glob(filepath.Join(s.Dir(), "*.log"))
	s.must(err)
	wholeRun.Lock()
	defer wholeRun.Unlock()
	wholeRun.secrets = append(wholeRun.secrets, s.secrets...)
	searched := 0
	for _, file := range logs {
		name := filepath.Base(file)
		if strings.HasPrefix(name, "consul-") || strings.HasPrefix(name, "envoy-") || strings.HasPrefix(name, "ministack") {
			continue
		}
		text, err := os.ReadFile(file)
		s.must(err)
		searched += len(text)
		wholeRun.logs[s.t.Name()+" "+file] = string(text)
		for _, secret := range found(string(text), s.secrets) {
			s.t.Errorf("%s holds a secret that ends in %q", name, secret)
		}
	}
	if searched == 0 && s.Lambdamesh != nil {
		s.t.Errorf("there is no log of lambdamesh's among %v", logs)
	}
}

// TestSearchFindsSecrets: each kind of secret that the harness makes, wherever it stands.
func TestSearchFindsSecrets(t *testing.T) {
	before := len(testmesh.Secrets())
	authority, err := testmesh.NewAuthority(t.TempDir(), "searched")
	if err != nil {
		t.Fatal(err)
	}
	_, key, err := authority.Issue("searched")
	if err != nil {
		t.Fatal(err)
	}
	made := testmesh.Secrets()[before:]
	text, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(text), "-----\n")
	body, _, _ = strings.Cut(body, "-----")
	for _, log := range []string{body, strings.ReplaceAll(body, "\n", ``)} {
		if len(found("msg="+log, nil)) == 0 {
			t.Errorf("a private key is not found by %d secrets", len(made))
		}
	}
	if got := found("a "+"token-of-a-story"+" b", []string{"token-of-a-story"}); !slices.Equal(got, []string{"tory"}) {
		t.Errorf("found %q", got)
	}
	if got := found("-----BEGIN CERTIFICATE-----", nil); len(got) != 1 {
		t.Errorf("found %q", got)
	}
	if got := found("nothing", nil); len(got) > 0 {
		t.Errorf("found %q", got)
	}
}
