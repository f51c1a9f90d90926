package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/lambdamesh/lambdamesh/internal/consul"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// TestMending: each mistake that is made with addresses and certificates is told by its
// cause, over HTTP and over gRPC, as the libraries say it.
func TestMending(t *testing.T) {
	handler := http.NotFoundHandler()
	plain := httptest.NewServer(handler)
	defer plain.Close()
	secure := httptest.NewUnstartedServer(handler)
	secure.EnableHTTP2 = true
	secure.StartTLS()
	defer secure.Close()
	quiet := log.New(io.Discard, "", 0)
	secure.Config.ErrorLog = quiet
	mutual := httptest.NewUnstartedServer(handler)
	mutual.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	mutual.EnableHTTP2, mutual.Config.ErrorLog = true, quiet
	mutual.StartTLS()
	defer mutual.Close()
	known := x509.NewCertPool()
	known.AddCert(secure.Certificate())
	late := func() time.Time { return secure.Certificate().NotAfter.Add(time.Hour) }

	for _, test := range []struct {
		what string
		addr net.Addr
		tls  *tls.Config // nil: none
		want string
	}{
		{"an authority that is not known", secure.Listener.Addr(), &tls.Config{}, "name that authority by CA"},
		{"another name", secure.Listener.Addr(), &tls.Config{RootCAs: known, ServerName: "other.invalid"}, "give one that it has by NAME"},
		{"run out", secure.Listener.Addr(), &tls.Config{RootCAs: known, Time: late}, "run out"},
		{"TLS where there is none", plain.Listener.Addr(), &tls.Config{}, "there is no TLS there"},
		{"no TLS where there is some", secure.Listener.Addr(), nil, "there is TLS there"},
		{"no certificate of ours", mutual.Listener.Addr(), &tls.Config{RootCAs: known}, "give one by CLIENT"},
		{"nobody", closed(t), nil, "nothing listens there"},
		{"nobody, with TLS", closed(t), &tls.Config{}, "nothing listens there"},
	} {
		m := mending{address: "ADDRESS", ca: "CA", name: "NAME", client: "CLIENT"}
		if got := m.next(overHTTP(t, test.addr, test.tls)); !strings.Contains(got, test.want) {
			t.Errorf("HTTP, %s: %q, want %q", test.what, got, test.want)
		}
		if test.addr == mutual.Listener.Addr() {
			continue // gRPC tells now of the alert, now of the write that failed for it
		}
		if got := m.next(overGRPC(t, test.addr, test.tls)); !strings.Contains(got, test.want) {
			t.Errorf("gRPC, %s: %q, want %q", test.what, got, test.want)
		}
	}
	ended, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	<-ended.Done()
	if got := (mending{address: "ADDRESS"}).next(ended.Err()); !strings.Contains(got, "firewall") {
		t.Errorf("no answer in time: %q", got)
	}
}

// closed is an address at which nothing listens.
func closed(t *testing.T) net.Addr {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	return l.Addr()
}

func overHTTP(t *testing.T, addr net.Addr, config *tls.Config) (err error) {
	t.Helper()
	if config == nil {
		client, failure := consul.NewClient(consul.ClientConfig{Address: "http://" + addr.String()})
		if failure != nil {
			t.Fatal(failure)
		}
		defer client.Close()
		_, err = client.API.Status().Leader()
	} else {
		client := http.Client{Transport: &http.Transport{TLSClientConfig: config.Clone(), DisableKeepAlives: true}}
		_, err = client.Get("https://" + addr.String()) //nolint:bodyclose,noctx // it fails
	}
	if err == nil {
		t.Fatal("it works")
	}
	return err
}

func overGRPC(t *testing.T, addr net.Addr, config *tls.Config) error {
	t.Helper()
	with := insecure.NewCredentials()
	if config != nil {
		with = credentials.NewTLS(config.Clone())
	}
	conn, err := grpc.NewClient(addr.String(), grpc.WithTransportCredentials(with))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	err = conn.Invoke(t.Context(), "/a.b/c", nil, nil)
	if err == nil {
		t.Fatal("it works")
	}
	return err
}
