package admin

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
)

// Guard is what protects the address: a certificate with its key, and a bearer
// token. The zero value is none, which only loopback may do without.
type Guard struct {
	CertFile  string // PEM
	KeyFile   string // PEM
	TokenFile string // its content, trimmed, is the token
}

// Validate says what is missing for this address.
func (g Guard) Validate(addr string) error {
	given := 0
	for _, f := range []string{g.CertFile, g.KeyFile, g.TokenFile} {
		if f != "" {
			given++
		}
	}
	switch {
	case given == 3:
		return nil
	case given > 0:
		return errors.New("the admin certificate, its key and the token file go together: --admin-cert-file, --admin-key-file, --admin-token-file")
	case !Loopback(addr):
		return fmt.Errorf("--admin-addr %s is not on loopback: it needs --admin-cert-file, --admin-key-file and --admin-token-file", addr)
	}
	return nil
}

// Token reads the token, which is empty for the zero Guard.
func (g Guard) Token() (string, error) {
	if g.TokenFile == "" {
		return "", nil
	}
	content, err := os.ReadFile(g.TokenFile)
	if err != nil {
		return "", fmt.Errorf("reading the admin token: %w", err)
	}
	token := strings.TrimSpace(string(content))
	if token == "" {
		return "", fmt.Errorf("reading the admin token: %s is empty", g.TokenFile)
	}
	return token, nil
}

// Loopback reports whether an address host:port can only be reached from this
// machine. Of names it trusts localhost alone.
func Loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
