package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

// certificatesInterval is how often files are looked at.
const certificatesInterval = 2 * time.Second

// certificates are those of one listener, from files that are read again when they
// change. Connections that stand stay as they are. What cannot be used is logged, and
// the last good ones stay in force.
//
// A nil one is no TLS: there is nothing to open or to run.
//
// grpc's pemfile provider would do the same, but it logs the text of a key that does
// not fit, and wants certificate and key in one folder.
type certificates struct {
	of                        string // xds or admin, as in the names of the flags
	certFile, keyFile, caFile string // with a caFile clients need a certificate signed by those in it
	minVersion                uint16
	interval                  time.Duration // zero: certificatesInterval
	log                       *slog.Logger

	inForce atomic.Pointer[tls.Config]

	// run's, once it runs.
	print   [sha256.Size]byte // of the files in force
	problem string            // why the files cannot be used now
}

// open reads the files for the first time. The error names the flag.
func (c *certificates) open() error {
	if c == nil {
		return nil
	}
	conf, print, err := c.read()
	if err != nil {
		return err
	}
	c.print = print
	c.inForce.Store(conf)
	return nil
}

// config lets each new connection have what is in force then.
func (c *certificates) config() *tls.Config {
	return &tls.Config{
		MinVersion:         c.minVersion,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.inForce.Load(), nil },
	}
}

// run looks at the files until the context ends.
func (c *certificates) run(ctx context.Context) error {
	if c == nil {
		return nil
	}
	ticker := time.NewTicker(cmp.Or(c.interval, certificatesInterval))
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			c.look()
		case <-ctx.Done():
			return nil
		}
	}
}

// look puts changed files in force.
func (c *certificates) look() {
	conf, print, err := c.read()
	if err != nil {
		if problem := err.Error(); problem != c.problem {
			c.problem = problem
			c.log.Error("new certificates cannot be used, the last ones stay in force", "for", c.of, "reason", problem)
		}
		return
	}
	c.problem = ""
	if print != c.print {
		c.print = print
		c.inForce.Store(conf)
		c.log.Info("certificates have changed, new connections get the new ones", "for", c.of)
	}
}

// read reads the files, and a print of what they hold.
func (c *certificates) read() (conf *tls.Config, print [sha256.Size]byte, err error) {
	var held [3][]byte
	for i, file := range []struct{ flag, name string }{
		{"cert-file", c.certFile}, {"key-file", c.keyFile}, {"client-ca-file", c.caFile},
	} {
		if file.name == "" {
			continue
		}
		if held[i], err = os.ReadFile(file.name); err != nil {
			return nil, print, fmt.Errorf("--%s-%s: %w", c.of, file.flag, err)
		}
	}
	cert, key, ca := held[0], held[1], held[2]
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, print, fmt.Errorf("--%[1]s-cert-file %[2]s and --%[1]s-key-file %[3]s: %[4]w", c.of, c.certFile, c.keyFile, err)
	}
	conf = &tls.Config{
		MinVersion:   c.minVersion,
		Certificates: []tls.Certificate{pair},
		// A resumed session would go past authorities that have changed meanwhile.
		SessionTicketsDisabled: true,
	}
	if c.caFile != "" {
		conf.ClientAuth = tls.RequireAndVerifyClientCert
		conf.ClientCAs = x509.NewCertPool()
		if !conf.ClientCAs.AppendCertsFromPEM(ca) {
			return nil, print, fmt.Errorf("--%s-client-ca-file: %s holds no certificate in PEM", c.of, c.caFile)
		}
	}
	return conf, sha256.Sum256(bytes.Join(held[:], []byte{0})), nil
}
