package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/lambdamesh/lambdamesh/internal/consul"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// patient is a bound for what answers at once, on a machine that is busy.
const patient = 20 * time.Second

// checkConsul asks Consul's HTTP API with a token, and searches what is said for it.
func checkConsul(t *testing.T, address, token string) *Report {
	t.Helper()
	client, err := consul.NewClient(consul.ClientConfig{Address: address, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	r := Run(t.Context(), patient, Consul{Client: client, NodeName: "lambdas"}.Check)
	if token != "" && strings.Contains(said(t, r), token) {
		t.Errorf("it says the token:\n%s", said(t, r))
	}
	return r
}

// What is missing can be pasted, and then nothing is.
func TestRights(t *testing.T) {
	ctx := testmesh.Context(t)
	token, err := secured.Token(ctx, "nothing", "")
	if err != nil {
		t.Fatal(err)
	}
	r := checkConsul(t, secured.HTTPAddr(), token.SecretID)
	expect(t, r, "consul acl", OK, token.AccessorID)
	expect(t, r, "consul right service:read", Fail, `service_prefix "" \{ policy = "read" \}`)
	missing := r.rules(consulPolicy)
	for _, one := range rights("lambdas") {
		check := "consul right " + one.Resource + ":" + one.Access
		if find(t, r, check).Verdict == OK {
			t.Errorf("%s is said to be there", check)
		}
		if f := find(t, r, check); f.Rule != one.rule || f.Next == "" {
			t.Errorf("%s: %+v", check, f)
		}
	}
	if text := said(t, r); !strings.Contains(text, strings.Join(missing, "\n")) {
		t.Errorf("the rules do not stand there to be pasted:\n%s", text)
	}
	// Each rule by itself gives its right, and all of them together all.
	for _, one := range rights("lambdas") {
		if err := secured.SetRules(ctx, token, one.rule); err != nil {
			t.Fatal(err)
		}
		expect(t, checkConsul(t, secured.HTTPAddr(), token.SecretID), "consul right "+one.Resource+":"+one.Access, OK)
	}
	if err := secured.SetRules(ctx, token, strings.Join(missing, "\n")); err != nil {
		t.Fatal(err)
	}
	sound(t, checkConsul(t, secured.HTTPAddr(), token.SecretID))
}

func TestTokens(t *testing.T) {
	expect(t, checkConsul(t, secured.HTTPAddr(), "00000000-0000-0000-0000-000000000001"), "consul acl", Fail, "ACL not found", "--consul-token-file")
	r := checkConsul(t, secured.HTTPAddr(), "")
	expect(t, r, "consul acl", Warn, "no token is given")
	expect(t, r, "consul right service:read", Fail)
}

func TestConsulTLS(t *testing.T) {
	t.Setenv(api.HTTPCAFile, secured.authority.CAFile)
	const name = "server.dc1.consul"
	for _, test := range []struct {
		what    string
		address string
		ca      string
		named   string // CONSUL_TLS_SERVER_NAME
		words   []string
	}{
		{"trusted", "https://" + secured.https, secured.authority.CAFile, "", nil},
		{"trusted, by name", "https://" + secured.https, secured.authority.CAFile, name, nil},
		{"unknown CA", "https://" + secured.https, secured.other.CAFile, "", []string{"authority that is not trusted", "CN=consul-ca", "CONSUL_CACERT"}},
		{"wrong name", "https://" + secured.https, secured.authority.CAFile, "consul.example", []string{"is for server.dc1.consul, localhost, 127.0.0.1, ::1 and not for consul.example", "CONSUL_TLS_SERVER_NAME"}},
		{"plain text to TLS", "http://" + secured.https, "", "", []string{"speaks TLS", "https://"}},
		{"TLS to plain text", "https://" + secured.HTTPAddr(), secured.authority.CAFile, "", []string{"speaks plain text", "http://"}},
		{"expired", "https://" + expired(t), secured.authority.CAFile, "", []string{"CN=server.dc1.consul expired on 20"}},
		{"client's certificate demanded", "https://" + demanding(t), secured.authority.CAFile, "", []string{"demands a certificate", "CONSUL_CLIENT_CERT"}},
		{"nobody there", "127.0.0.1:1", "", "", []string{"connection refused", "--consul-http-addr"}},
		{"no such name", "lambdamesh.invalid:8500", "", "", []string{"lambdamesh.invalid", "does the name"}},
		{"another port", "http://" + secured.GRPCAddr(), "", "", []string{"--consul-http-addr"}},
	} {
		t.Run(test.what, func(t *testing.T) {
			t.Setenv(api.HTTPCAFile, test.ca)
			t.Setenv(api.HTTPTLSServerName, test.named)
			r := checkConsul(t, test.address, secured.ManagementToken())
			if test.words != nil {
				expect(t, r, "consul http", Fail, test.words...)
				return
			}
			sound(t, r)
			expect(t, r, "consul http tls", OK, "trusted, and valid until 20")
			expect(t, r, "clock, Consul's", OK)
		})
	}
}

func TestXDS(t *testing.T) {
	trusted, other, demanded := secured.authority.CAFile, secured.other.CAFile, demanding(t)
	for _, test := range []struct {
		what, addr, ca, named string
		server                string // whose line says so; empty: that of the stream
		words                 []string
	}{
		{"plain text", secured.GRPCAddr(), "", "", secured.GRPCAddr(), nil},
		{"trusted", secured.grpcs, trusted, "", secured.grpcs, nil},
		{"trusted, by name", secured.grpcs, trusted, "server.dc1.consul", secured.grpcs, nil},
		{"unknown CA", secured.grpcs, other, "", secured.grpcs, []string{"authority that is not trusted", "CN=consul-ca", "--consul-grpc-ca-file"}},
		{"wrong name", secured.grpcs, trusted, "consul.example", secured.grpcs, []string{"not for consul.example", "--consul-grpc-server-name"}},
		{"plain text to TLS", secured.grpcs, "", "", secured.grpcs, []string{"speaks TLS", "grpcs://"}},
		{"TLS to plain text", secured.GRPCAddr(), trusted, "", secured.GRPCAddr(), []string{"8503"}},
		{"expired", expired(t), trusted, "", "", []string{"expired"}},
		{"client's certificate demanded", demanded, trusted, "", demanded, []string{"demands a certificate", "verify_incoming"}},
		{"nobody there", "127.0.0.1:1", "", "", "127.0.0.1:1", []string{"connection refused", "8502"}},
		{"no such name", "lambdamesh.invalid", "", "", "", []string{"lambdamesh.invalid"}},
		{"another port with TLS", secured.https, trusted, "", "", []string{"does not answer as Consul's gRPC API"}},
		{"another port", secured.HTTPAddr(), "", "", "", []string{"8502"}},
	} {
		t.Run(test.what, func(t *testing.T) {
			addrs, err := consul.ParseGRPCAddrs(test.addr)
			if err != nil {
				t.Fatal(err)
			}
			pool, err := consul.NewUpstream(consul.UpstreamConfig{Addrs: addrs, CAFile: test.ca, ServerName: test.named, Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			r := Run(t.Context(), patient, XDS{Upstream: pool, Addr: test.addr}.Check)
			if test.words == nil {
				sound(t, r)
				expect(t, r, "consul xds", OK, "answers")
				return
			}
			expect(t, r, "consul xds", Fail)
			check := "consul xds"
			if test.server != "" {
				check = "consul grpc " + test.server
			}
			expect(t, r, check, Fail, test.words...)
		})
	}
}

// One server of several that cannot be used is worth a word, and no failure.
func TestXDSOfSeveralServers(t *testing.T) {
	addrs, err := consul.ParseGRPCAddrs(secured.GRPCAddr() + ",127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	pool, err := consul.NewUpstream(consul.UpstreamConfig{Addrs: addrs})
	if err != nil {
		t.Fatal(err)
	}
	r := Run(t.Context(), patient, XDS{Upstream: pool}.Check)
	expect(t, r, "consul grpc "+secured.GRPCAddr(), OK)
	expect(t, r, "consul grpc 127.0.0.1:1", Warn, "refused")
	expect(t, r, "consul xds", OK)
}

func TestValidity(t *testing.T) {
	now := time.Now()
	for left, want := range map[time.Duration]Verdict{time.Hour: Warn, 8 * 24 * time.Hour: OK} {
		if v, text, _ := validity(&x509.Certificate{NotAfter: now.Add(left)}, now); v != want {
			t.Errorf("%s left: %s, %s", left, v, text)
		}
	}
}

// expired is where a listener has an expired certificate of Consul's authority. A real
// Consul would have to be kept until its own expires.
func expired(t *testing.T) string {
	certFile, keyFile, err := secured.authority.IssueExpired("server.dc1.consul")
	if err != nil {
		t.Fatal(err)
	}
	return listenTLS(t, certFile, keyFile, tls.NoClientCert)
}

// demanding is where a listener wants a certificate of its clients, as Consul's HTTP API
// does with verify_incoming.
func demanding(t *testing.T) string {
	certFile, keyFile, err := secured.authority.Issue("demanding")
	if err != nil {
		t.Fatal(err)
	}
	return listenTLS(t, certFile, keyFile, tls.RequireAnyClientCert)
}

func listenTLS(t *testing.T, certFile, keyFile string, of tls.ClientAuthType) string {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: of, NextProtos: []string{"h2", "http/1.1"}}
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// hanging is where a listener takes connections and never says a word.
func hanging(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0") // the kernel takes them
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener.Addr().String()
}

func TestConsulHangs(t *testing.T) {
	client, err := consul.NewClient(consul.ClientConfig{Address: hanging(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	r := Run(t.Context(), 50*time.Millisecond, Consul{Client: client}.Check, func(ctx context.Context, r *Report) { r.add("another", OK, "", "") })
	expect(t, r, "consul http", Fail, `no answer within 50ms \(--timeout\)`)
	expect(t, r, "another", OK)
}

// fakeConsul answers as Consul does, but for what it is told.
func fakeConsul(t *testing.T, leader, rights string, date time.Time) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status/leader", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", date.UTC().Format(http.TimeFormat))
		_, _ = w.Write([]byte(leader))
	})
	mux.HandleFunc("GET /v1/acl/token/self", func(w http.ResponseWriter, _ *http.Request) {
		if rights == "off" {
			http.Error(w, "ACL support disabled", http.StatusUnauthorized)
			return
		}
		_, _ = w.Write([]byte(`{"AccessorID": "a-1", "ExpirationTime": "2030-01-01T00:00:00Z"}`))
	})
	mux.HandleFunc("POST /v1/internal/acl/authorize", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(rights)) })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

func TestConsulThatIsOdd(t *testing.T) {
	const leader = `"127.0.0.1:8300"`
	now := time.Now()
	for _, test := range []struct {
		leader, rights string
		date           time.Time
		check          string
		verdict        Verdict
		words          string
	}{
		{`""`, "", now, "consul http", Fail, "has no leader"},
		{"<html>", "", now, "consul http", Fail, "is not Consul's HTTP API"},
		{leader, "[]", now, "consul rights", Warn, "0 answers to 8 questions"},
		{leader, "no JSON", now, "consul rights", Warn, "invalid character"},
		{leader, "[]", now, "consul acl", Warn, "runs out at 2030-01-01T00:00:00Z"},
		{leader, "off", now, "consul acl", OK, "ACLs are off"},
		{leader, "[]", now.Add(-time.Hour), "clock, Consul's", Warn, "differs from Consul's by 1h0m.*NTP"},
		{leader, "[]", now.Add(10 * time.Minute), "clock, Consul's", Warn, "by -(10m0s|9m5)"},
	} {
		expect(t, checkConsul(t, fakeConsul(t, test.leader, test.rights, test.date), "s3cret"), test.check, test.verdict, test.words)
	}
}
