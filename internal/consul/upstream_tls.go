package consul

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"os"
	"sync"

	"google.golang.org/grpc/credentials"
)

// roots are the authorities that sign the certificates of Consul's servers, from a file
// that is read again for each connection, so that connections that stand stay as they
// are. What cannot be used is logged, and the last good ones stay in force.
//
// Nil ones are the system's.
type roots struct {
	file string
	log  *slog.Logger

	mu      sync.Mutex
	text    []byte         // of the file when it was last good; guarded by mu, like all below
	inForce *x509.CertPool // from text
	problem string         // of the file now
}

// readRoots reads the file for the first time.
func readRoots(file string, log *slog.Logger) (*roots, error) {
	r := &roots{file: file, log: log}
	return r, r.readLocked() // nobody else has it yet
}

// read reads the file again, and returns what is in force then.
func (r *roots) read() *x509.CertPool {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.inForce
	err := r.readLocked()
	switch {
	case err != nil && err.Error() != r.problem:
		r.problem = err.Error()
		r.log.Error("new authorities of Consul's xDS cannot be used, the last ones stay in force", "reason", r.problem)
	case err == nil:
		r.problem = ""
		if r.inForce != before {
			r.log.Info("the authorities of Consul's xDS have changed, new connections use the new ones", "file", r.file)
		}
	}
	return r.inForce
}

func (r *roots) readLocked() error {
	text, err := os.ReadFile(r.file)
	if err != nil {
		return err
	}
	if r.inForce != nil && bytes.Equal(text, r.text) {
		return nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return errors.New(r.file + " holds no certificate in PEM")
	}
	r.text, r.inForce = text, pool
	return nil
}

// rootedTLS is TLS whose authorities are those in force at each handshake.
type rootedTLS struct {
	credentials.TransportCredentials // but for the handshake

	serverName string
	roots      *roots
}

func newTLS(serverName string, roots *roots) credentials.TransportCredentials {
	return rootedTLS{credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12, ServerName: serverName}), serverName, roots}
}

// ClientHandshake is part of credentials.TransportCredentials.
func (c rootedTLS) ClientHandshake(ctx context.Context, authority string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.serverName, RootCAs: c.roots.read()}
	return credentials.NewTLS(conf).ClientHandshake(ctx, authority, conn)
}

// Clone is part of credentials.TransportCredentials.
func (c rootedTLS) Clone() credentials.TransportCredentials { return c }
