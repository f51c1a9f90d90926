package testmesh

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Authority is a certificate authority for TLS between the parts. Its files are in the
// folder that it was made with.
type Authority struct {
	CAFile string // PEM

	dir  string
	name string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewAuthority makes one; name is that of its certificate and of its files.
func NewAuthority(dir, name string) (*Authority, error) {
	a := &Authority{CAFile: filepath.Join(dir, name+".pem"), dir: dir, name: name}
	// A day back, for clocks that differ, as in containers that were paused.
	from := time.Now().Add(-24 * time.Hour)
	a.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: from, NotAfter: from.AddDate(0, 0, 30),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, fmt.Errorf("making the authority %s: %w", name, err)
	}
	if err := a.write(a.CAFile, "", a.cert, a.key); err != nil {
		return nil, fmt.Errorf("making the authority %s: %w", name, err)
	}
	return a, nil
}

// Issue makes a certificate for a server or a client on this machine, and returns the
// files that hold it and its key. The same name again replaces them. It is for more
// names than that, if given.
func (a *Authority) Issue(name string, more ...string) (certFile, keyFile string, err error) {
	certFile = filepath.Join(a.dir, a.name+"-"+name+".pem")
	keyFile = filepath.Join(a.dir, a.name+"-"+name+"-key.pem")
	return certFile, keyFile, a.IssueTo(name, certFile, keyFile, more...)
}

// IssueExpired is Issue for a certificate that expired an hour ago.
func (a *Authority) IssueExpired(name string) (certFile, keyFile string, err error) {
	certFile = filepath.Join(a.dir, a.name+"-"+name+"-expired.pem")
	keyFile = filepath.Join(a.dir, a.name+"-"+name+"-expired-key.pem")
	return certFile, keyFile, a.issueTo(name, certFile, keyFile, time.Now().Add(-time.Hour))
}

// IssueTo is Issue into these files, those of another authority's certificate perhaps.
func (a *Authority) IssueTo(name, certFile, keyFile string, more ...string) error {
	return a.issueTo(name, certFile, keyFile, a.cert.NotAfter, more...)
}

func (a *Authority) issueTo(name, certFile, keyFile string, until time.Time, more ...string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("making a certificate for %s: %w", name, err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: a.cert.NotBefore, NotAfter: until,
		DNSNames: append([]string{name, "localhost"}, more...), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if err := a.write(certFile, keyFile, cert, key); err != nil {
		return fmt.Errorf("making a certificate for %s: %w", name, err)
	}
	return nil
}

// write signs a certificate and writes it and its key, the latter if it has a file.
func (a *Authority) write(certFile, keyFile string, cert *x509.Certificate, key *ecdsa.PrivateKey) error {
	der, err := x509.CreateCertificate(rand.Reader, cert, a.cert, key.Public(), a.key)
	if err != nil {
		return err
	}
	if keyFile != "" {
		secret, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return err
		}
		noteKey(secret)
		if err := writePEM(keyFile, "PRIVATE KEY", secret); err != nil {
			return err
		}
	}
	return writePEM(certFile, "CERTIFICATE", der)
}

// writePEM replaces a file as a whole, as tools that rotate certificates do.
func writePEM(file, kind string, der []byte) error {
	next := file + ".next"
	if err := os.WriteFile(next, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		return err
	}
	return os.Rename(next, file)
}
