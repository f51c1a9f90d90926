package sigv4proxy

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Config says what a Proxy checks and where it stands. Backend and Credentials are
// required.
type Config struct {
	Backend     *url.URL        // the emulator, in plain text
	Credentials aws.Credentials // the only ones that sign right

	Region  string        // of requests that name no ARN; default "us-east-1"
	Service string        // default "lambda"
	MaxSkew time.Duration // of the date; default 5 minutes, as AWS allows

	Addr  string           // to listen on; default "127.0.0.1:0"
	Plain bool             // plain HTTP instead of TLS
	Names []string         // in the certificate, beside 127.0.0.1; default "localhost"
	Close bool             // every connection after one answer
	Now   func() time.Time // default time.Now
}

// MaxBody is AWS's limit on a synchronous payload, in bytes.
const MaxBody = 6 << 20

// Proxy is a running proxy.
type Proxy struct {
	cfg      Config
	verifier verifier
	log      *log
	caPEM    []byte
	addr     net.Addr
	server   *http.Server
	client   *http.Client
	conns    atomic.Int64
	instead  atomic.Pointer[http.Handler] // see Answer
	serving  sync.WaitGroup
}

// Start listens and serves until Close.
func Start(cfg Config) (*Proxy, error) {
	if cfg.Backend == nil || cfg.Credentials.AccessKeyID == "" {
		return nil, errors.New("starting the signature proxy: it needs a backend and credentials")
	}
	if len(cfg.Names) == 0 {
		cfg.Names = []string{"localhost"}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	p := &Proxy{cfg: cfg, log: newLog(), verifier: verifier{
		credentials: cfg.Credentials, service: cmp.Or(cfg.Service, "lambda"),
		region: cmp.Or(cfg.Region, "us-east-1"), maxSkew: cmp.Or(cfg.MaxSkew, 5*time.Minute),
	}}
	// Redirects are the caller's, and nothing here may be unpacked on the way.
	p.client = &http.Client{
		Transport:     &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 16},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	p.server = &http.Server{
		Handler:           http.HandlerFunc(p.serve),
		ReadHeaderTimeout: 30 * time.Second,
		ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, &conn{id: p.conns.Add(1)})
		},
	}
	listener, err := net.Listen("tcp", cmp.Or(cfg.Addr, "127.0.0.1:0"))
	if err != nil {
		return nil, fmt.Errorf("starting the signature proxy: %w", err)
	}
	p.addr = listener.Addr()
	if cfg.Plain {
		p.serving.Go(func() { _ = p.server.Serve(listener) })
		return p, nil
	}
	certificate, caPEM, err := newCertificate(cfg.Names)
	if err != nil {
		_ = listener.Close()
		return nil, err
	}
	p.caPEM = caPEM
	p.server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	p.serving.Go(func() { _ = p.server.ServeTLS(listener, "", "") })
	return p, nil
}

// Addr is host:port of the listener.
func (p *Proxy) Addr() string { return p.addr.String() }

// URL is what --lambda-endpoint-url takes: the scheme, the certificate's first name
// and the port.
func (p *Proxy) URL() string {
	scheme, host := "https", p.cfg.Names[0]
	if p.cfg.Plain {
		scheme, host = "http", "127.0.0.1"
	}
	_, port, _ := net.SplitHostPort(p.Addr())
	return scheme + "://" + net.JoinHostPort(host, port)
}

// CAPEM is the certificate authority that clients must trust; nil in plain text.
func (p *Proxy) CAPEM() []byte { return p.caPEM }

// Close ends the listener and every connection, and returns when they have ended.
func (p *Proxy) Close() error {
	err := p.server.Close()
	p.serving.Wait()
	p.client.CloseIdleConnections()
	return err
}

// conn is what is known of a connection.
type conn struct {
	id       int64
	requests atomic.Int64
}

type connKey struct{}

func (p *Proxy) serve(w http.ResponseWriter, r *http.Request) {
	call := Call{
		Time: p.cfg.Now(), Method: r.Method, Path: r.RequestURI, Host: r.Host, Proto: r.Proto,
		Header: publicHeader(r.Header),
	}
	if c, ok := r.Context().Value(connKey{}).(*conn); ok {
		call.Conn, call.FirstOnConn = c.id, c.requests.Add(1) == 1
	}
	if r.TLS != nil {
		call.SNI = r.TLS.ServerName
	}
	if auth, refused := parseAuthorization(r.Header.Get("Authorization")); refused == nil {
		call.Signer = auth.accessKey
	}
	body, refused := readBody(w, r)
	call.Body = body
	if refused == nil {
		refused = p.verifier.verify(r, body, call.Time)
	}
	if refused != nil {
		call.Status, call.Refused, call.Reason = refused.status, refused.code, refused.message
		// Recorded before the answer leaves, so that who has the answer finds the call.
		p.log.add(call)
		refused.write(w)
		return
	}
	if p.cfg.Close {
		w.Header().Set("Connection", "close") // with HTTP/2 it becomes GOAWAY
	}
	if instead := p.instead.Load(); instead != nil {
		call.Status = http.StatusOK
		p.log.add(call)
		r.Body = io.NopCloser(bytes.NewReader(body))
		(*instead).ServeHTTP(w, r)
		return
	}
	answer, err := p.pass(r, body)
	if err != nil {
		call.Status, call.Reason = http.StatusBadGateway, err.Error()
		p.log.add(call)
		http.Error(w, "the backend did not answer: "+err.Error(), http.StatusBadGateway)
		return
	}
	call.Status = answer.status
	p.log.add(call)
	for name, values := range answer.header {
		if !hopByHop(name) {
			w.Header()[name] = values
		}
	}
	w.WriteHeader(answer.status)
	_, _ = w.Write(answer.body)
}

// Answer has a handler answer every call that is signed right, until stop, with status
// 200. No function runs: it is for what the emulator does not do, such as an answer in
// parts.
func (p *Proxy) Answer(h http.Handler) (stop func()) {
	p.instead.Store(&h)
	return func() { p.instead.Store(nil) }
}

// Fake answers so with this text. It is for tests that only count calls, and so many that
// the emulator, which takes 8 ms of CPU a call, would make them slow.
func (p *Proxy) Fake(text string) (stop func()) {
	return p.Answer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }))
}

// answer is the backend's.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// pass sends the request on unchanged but for what belongs to the connection.
func (p *Proxy) pass(r *http.Request, body []byte) (answer, error) {
	target := *r.URL // keeps the path's own encoding
	target.Scheme, target.Host = p.cfg.Backend.Scheme, p.cfg.Backend.Host
	out, err := http.NewRequestWithContext(r.Context(), r.Method, target.String(), bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	out.Host = r.Host // by which the emulator tells functions' URLs apart
	for name, values := range r.Header {
		if !hopByHop(name) {
			out.Header[name] = values
		}
	}
	resp, err := p.client.Do(out)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return answer{status: resp.StatusCode, header: resp.Header, body: text}, err
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, *refusal) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return body, &refusal{
			status: http.StatusRequestEntityTooLarge, code: CodeTooLarge,
			message: fmt.Sprintf("Request must be smaller than %d bytes for the InvokeFunction operation", MaxBody),
		}
	}
	if err != nil {
		return body, &refusal{status: http.StatusBadRequest, code: CodeIncomplete, message: "reading the body: " + err.Error()}
	}
	return body, nil
}

// hopByHop says whether a header belongs to one connection (RFC 9110, section 7.6.1).
func hopByHop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Content-Length":
		return true
	}
	return false
}

// publicHeader is a copy that a test may print.
func publicHeader(h http.Header) http.Header {
	h = h.Clone()
	h.Del("Authorization")
	h.Del("X-Amz-Security-Token")
	return h
}
