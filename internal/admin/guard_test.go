package admin_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lambdamesh/lambdamesh/internal/admin"
)

func TestGuardValidate(t *testing.T) {
	whole := admin.Guard{CertFile: "c", KeyFile: "k", TokenFile: "t"}
	for _, test := range []struct {
		addr  string
		guard admin.Guard
		want  string // a part of the error; empty for none
	}{
		{"127.0.0.1:1", admin.Guard{}, ""},
		{"[::1]:1", admin.Guard{}, ""},
		{"localhost:1", admin.Guard{}, ""},
		{"0.0.0.0:1", admin.Guard{}, "not on loopback"},
		{":1", admin.Guard{}, "not on loopback"},
		{"[::]:1", admin.Guard{}, "not on loopback"},
		{"10.0.0.1:1", admin.Guard{}, "not on loopback"},
		{"localhost.example:1", admin.Guard{}, "not on loopback"},
		{"0.0.0.0:1", admin.Guard{TokenFile: "t"}, "go together"},
		{"127.0.0.1:1", admin.Guard{CertFile: "c", KeyFile: "k"}, "go together"},
		{"0.0.0.0:1", whole, ""},
	} {
		err := test.guard.Validate(test.addr)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s %+v: %v, want %q", test.addr, test.guard, err, test.want)
		}
	}
}

func TestGuardLoad(t *testing.T) {
	if conf, token, err := (admin.Guard{}).Load(); conf != nil || token != "" || err != nil {
		t.Errorf("no guard: %v, %q, %v", conf, token, err)
	}
	guard := files(t, " s3cret\n")
	conf, token, err := guard.Load()
	if err != nil || token != "s3cret" || len(conf.Certificates) != 1 {
		t.Errorf("a whole guard: %q, %v", token, err)
	}
	for what, broken := range map[string]admin.Guard{
		"an empty token":      files(t, " \n"),
		"a missing token":     {CertFile: guard.CertFile, KeyFile: guard.KeyFile, TokenFile: guard.TokenFile + "x"},
		"a missing key":       {CertFile: guard.CertFile, KeyFile: guard.KeyFile + "x", TokenFile: guard.TokenFile},
		"a key in two places": {CertFile: guard.KeyFile, KeyFile: guard.KeyFile, TokenFile: guard.TokenFile},
	} {
		if _, _, err := broken.Load(); err == nil {
			t.Errorf("%s is no error", what)
		}
	}
}

// files writes a certificate for 127.0.0.1, its key and a token.
func files(t *testing.T, token string) admin.Guard {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	guard := admin.Guard{CertFile: filepath.Join(dir, "cert"), KeyFile: filepath.Join(dir, "key"), TokenFile: filepath.Join(dir, "token")}
	for path, content := range map[string][]byte{
		guard.CertFile:  pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		guard.KeyFile:   pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
		guard.TokenFile: []byte(token),
	} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return guard
}
