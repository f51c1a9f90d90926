package consul

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"google.golang.org/grpc/credentials"
)

// Probed is how Consul's HTTP API answers.
type Probed struct {
	Leader      string            // the leading server's address; empty: there is none
	Time        time.Time         // there, to the second; zero: it did not say
	Certificate *x509.Certificate // of who answered; nil in plain text
}

// Probe asks Consul's HTTP API for its leader, which needs no token. What TLS says against
// a certificate is in the error, for errors.As.
func (c *Client) Probe(ctx context.Context) (Probed, error) {
	got, err := c.raw(ctx, http.MethodGet, "/v1/status/leader", nil)
	if err != nil {
		return Probed{}, err
	}
	var p Probed
	if err := json.Unmarshal(got.text, &p.Leader); err != nil {
		return Probed{}, errors.New("what answers is not Consul's HTTP API")
	}
	if at, err := http.ParseTime(got.header.Get("Date")); err == nil {
		p.Time = at
	}
	if got.tls != nil {
		p.Certificate = got.tls.PeerCertificates[0]
	}
	return p, nil
}

// Handshake connects to one of Servers as a stream's connection does, TLS included, and
// closes it again. It returns the server's certificate, nil in plain text. What TLS says
// against it is in the error, for errors.As, where a stream's error has words alone.
func (u *Upstream) Handshake(ctx context.Context, addr string) (*x509.Certificate, error) {
	u.mu.Lock()
	s := find(u.servers, addr)
	u.mu.Unlock()
	if s == nil {
		return nil, fmt.Errorf("%s is no server of ours", addr)
	}
	conn, err := u.cfg.dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if !u.tls() {
		return nil, nil //nolint:nilnil // plain text has none
	}
	_, info, err := u.credentials().ClientHandshake(ctx, cmp.Or(u.cfg.ServerName, s.authority), conn)
	if err != nil {
		return nil, err
	}
	secured, ok := info.(credentials.TLSInfo)
	if !ok {
		return nil, fmt.Errorf("TLS tells of itself as %T", info)
	}
	return secured.State.PeerCertificates[0], nil
}

// TLS reports whether the servers are spoken to in TLS.
func (u *Upstream) TLS() bool { return u.tls() }
