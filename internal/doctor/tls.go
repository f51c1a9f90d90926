package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
)

// remedies are what to do about TLS with a server, in the words of the flags and variables
// that concern it.
type remedies struct {
	address string // where it is named
	plain   string // to speak plain text
	tls     string // to speak TLS
	ca      string // to trust another authority
	name    string // to expect another name
	client  string // to show a certificate
}

const demandsCertificate = "it demands a certificate of its clients"

// soonExpired is when a certificate that still holds is worth a word.
const soonExpired = 7 * 24 * time.Hour

// explain says what an error of connecting is about, and what to do. The server is asked
// once more where the error leaves it open; empty: it is not.
func (m remedies) explain(ctx context.Context, err error, server string) (text, next string) {
	now := time.Now()
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	var dns *net.DNSError
	switch {
	case errors.As(err, &unknown):
		return fmt.Sprintf("its certificate is signed by an authority that is not trusted here (issuer: %s)", unknown.Cert.Issuer), "name the file with that authority's certificate: " + m.ca
	case errors.As(err, &name):
		return fmt.Sprintf("its certificate is for %s and not for %s", strings.Join(names(name.Certificate), ", "), name.Host), "expect a name that it has: " + m.name
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && now.Before(invalid.Cert.NotBefore):
		return "its certificate is not valid before " + date(invalid.Cert.NotBefore), "is the clock of this machine right?"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Sprintf("the certificate of %s expired on %s", invalid.Cert.Subject, date(invalid.Cert.NotAfter)), "give Consul a new certificate; the clock of this machine says " + date(now)
	case errors.Is(err, http.ErrSchemeMismatch), errors.As(err, &record):
		return "it speaks plain text where TLS was expected", m.plain
	// Consul's HTTP API, by Go's net/http, to plain text where it has TLS.
	case strings.Contains(err.Error(), "Client sent an HTTP request to an HTTPS server"):
		return "it speaks TLS, and was asked in plain text", m.tls
	case errors.As(err, &dns):
		return dns.Error(), "does the name in " + m.address + " exist, from here?"
	}
	if server != "" && greet(ctx, server).wants {
		return demandsCertificate, m.client
	}
	return err.Error(), "does it listen there, and is the way free? " + m.address
}

// names are the names and addresses that a certificate is for.
func names(cert *x509.Certificate) []string {
	all := cert.DNSNames
	for _, ip := range cert.IPAddresses {
		all = append(all, ip.String())
	}
	if len(all) == 0 {
		return []string{"no name"}
	}
	return all
}

func date(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

// validity says until when a certificate holds, and warns if that is soon.
func validity(cert *x509.Certificate, now time.Time) (v Verdict, text, next string) {
	text = "its certificate is trusted, and valid until " + date(cert.NotAfter)
	if cert.NotAfter.Sub(now) < soonExpired {
		return Warn, text, "renew it before that"
	}
	return OK, text, ""
}

// greeting is how a server answers to TLS from anybody.
type greeting struct {
	tls   bool // it speaks it
	wants bool // it asks for a certificate of its client, which in TLS 1.3 fails only later
}

// greet finds that out. Nothing is entrusted to the server, so whose it is does not matter.
func greet(ctx context.Context, addr string) (g greeting) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return g
	}
	defer conn.Close()
	err = tls.Client(conn, &tls.Config{
		InsecureSkipVerify: true,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			g.wants = true
			return &tls.Certificate{}, nil
		},
	}).HandshakeContext(ctx)
	g.tls = err == nil || g.wants
	return g
}
