package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// inBootstrap is an Envoy's token in its bootstrap.
var inBootstrap = regexp.MustCompile(`"x-consul-token",\s*"value": *"([^"]+)"`)

// discreet searches what lambdamesh logged in this story for every token that was used
// in it, and for certificates and keys.
func (s *story) discreet() {
	if s.Mesh == nil {
		return // it did not start
	}
	secrets := slices.Concat(s.secrets, []string{
		s.Token.SecretID, s.Consul.ManagementToken(), s.AWS.Credentials().SecretAccessKey, "-----BEGIN",
	})
	bootstraps, err := filepath.Glob(filepath.Join(s.Dir(), "envoy-*.json"))
	s.must(err)
	for _, file := range bootstraps {
		text, err := os.ReadFile(file)
		s.must(err)
		tokens := inBootstrap.FindAllSubmatch(text, -1)
		if len(tokens) == 0 && s.Token.SecretID != "" {
			s.t.Errorf("no token is found in %s", file)
		}
		for _, match := range tokens {
			secrets = append(secrets, string(match[1]))
		}
	}
	logs, err := filepath.Glob(filepath.Join(s.Dir(), "*.log"))
	s.must(err)
	searched := 0
	for _, file := range logs {
		name := filepath.Base(file)
		if strings.HasPrefix(name, "consul-") || strings.HasPrefix(name, "envoy-") || strings.HasPrefix(name, "ministack") {
			continue
		}
		text, err := os.ReadFile(file)
		s.must(err)
		searched += len(text)
		for _, secret := range secrets {
			if secret != "" && bytes.Contains(text, []byte(secret)) {
				s.t.Errorf("%s holds a secret that ends in %q", name, secret[max(0, len(secret)-4):])
			}
		}
	}
	if searched == 0 && s.Lambdamesh != nil {
		s.t.Errorf("there is no log of lambdamesh's among %v", logs)
	}
}
