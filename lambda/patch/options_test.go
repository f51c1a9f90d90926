package patch

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"github.com/lambdamesh/lambdamesh/internal/golden"
)

func TestValidate(t *testing.T) {
	ca := options(t).CAs
	key, err := golden.PKI(golden.LeafKey)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name  string
		opts  Options
		wrong string // in the error; empty for none
	}{
		{"zero", Options{}, ""},
		{"all", Options{EndpointURL: "https://vpce-1.lambda.us-east-1.vpce.amazonaws.com", CAs: ca, Direct: DirectAutoFailover, Datacenter: "dc1"}, ""},
		{"AWS's other endpoints", Options{FIPS: true, DualStack: true, Direct: DirectNever}, ""},
		{"emulator", Options{EndpointURL: "http://127.0.0.1:4566/"}, ""},
		{"IPv6", Options{EndpointURL: "https://[::1]:4566"}, ""},
		{"no URL", Options{EndpointURL: "://"}, "not a URL"},
		{"no scheme", Options{EndpointURL: "lambda.example.com:443"}, "neither http nor https"},
		{"another scheme", Options{EndpointURL: "ftp://lambda.example.com"}, "neither http nor https"},
		{"no host", Options{EndpointURL: "https://:443"}, "no host name"},
		{"path", Options{EndpointURL: "https://lambda.example.com/2015"}, "more than a host and a port"},
		{"query", Options{EndpointURL: "https://lambda.example.com?x=y"}, "more than a host and a port"},
		{"port", Options{EndpointURL: "https://lambda.example.com:0"}, `"0" is no port`},
		{"high port", Options{EndpointURL: "https://lambda.example.com:70000"}, `"70000" is no port`},
		{"odd host", Options{EndpointURL: "https://lambda_.exa$mple.com"}, "no host name"},
		{"mistyped address", Options{EndpointURL: "http://127.0.0.1.1:4566"}, "no host name"},
		{"any address", Options{EndpointURL: "http://0.0.0.0:4566"}, "no address to connect to"},
		{"zone", Options{EndpointURL: "http://[fe80::1%25eth0]:4566"}, "no address to connect to"},
		{"override and FIPS", Options{EndpointURL: "https://lambda.example.com", FIPS: true}, "cannot be combined"},
		{"not PEM", Options{CAs: []byte("x")}, "no certificate"},
		{"a key", Options{CAs: append([]byte(key), ca...)}, "holds a private key"},
		{"broken certificate", Options{CAs: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})}, "reading the CA bundle"},
		{"direct", Options{Direct: "always"}, `direct is "always"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := test.opts.Validate()
			if test.wrong == "" && err != nil || test.wrong != "" && (err == nil || !strings.Contains(err.Error(), test.wrong)) {
				t.Errorf("Validate = %v, want %q", err, test.wrong)
			}
			if _, newErr := New(nil, test.opts); (newErr == nil) != (err == nil) {
				t.Errorf("New = %v, Validate = %v", newErr, err)
			}
		})
	}
}

func TestValidateKeepsSecrets(t *testing.T) {
	for _, url := range []string{"https://user:hunter2@lambda.example.com", "https://user:hunter2@lambda.example.com:port"} {
		if err := (Options{EndpointURL: url}).Validate(); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Validate = %v", err)
		}
	}
}

// The bundle is exactly the five roots that Amazon Trust Services publishes
// (https://www.amazontrust.com/repository/).
func TestAmazonRoots(t *testing.T) {
	want := map[string]string{
		"Amazon Root CA 1": "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e",
		"Amazon Root CA 2": "1ba5b2aa8c65401a82960118f80bec4f62304d83cec4713a19c39c011ea46db4",
		"Amazon Root CA 3": "18ce6cfe7bf14e60b2e347b8dfe868cb31d02ebb3ada271569f50343b46db3a4",
		"Amazon Root CA 4": "e35d28419ed02025cfa69038cd623962458da5c695fbdea3c22b0bfb25897092",
		"Starfield Services Root Certificate Authority - G2": "568d6905a2c88708a4b3025190edcfedb1974a606a13c6e5290fcb2ae63edab5",
	}
	cas, err := bundle(nil)
	if err != nil {
		t.Fatal(err)
	}
	rest := []byte(cas)
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		name := c.Subject.CommonName
		if got := fmt.Sprintf("%x", sha256.Sum256(c.Raw)); got != want[name] {
			t.Errorf("%s has fingerprint %s, want %q", name, got, want[name])
		}
		if !c.IsCA {
			t.Errorf("%s is no CA", name)
		}
		delete(want, name)
	}
	if len(want) > 0 {
		t.Errorf("missing: %v", want)
	}
	if strings.Contains(cas, "#") {
		t.Error("comments would travel in each cluster")
	}
}
