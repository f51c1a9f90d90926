package sigv4proxy

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
)

const arn = "arn:aws:lambda:eu-central-1:123456789012:function:hello"

var creds = aws.Credentials{AccessKeyID: "AKIDTEST", SecretAccessKey: "secret"}

// backend answers with what it was asked.
func backend(t *testing.T) *url.URL {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Path", r.RequestURI)
		w.Header().Set("X-Host", r.Host)
		w.WriteHeader(http.StatusAccepted)
		_, _ = w.Write(append([]byte("got "), body...))
	}))
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func start(t *testing.T, cfg Config) *Proxy {
	t.Helper()
	if cfg.Backend == nil {
		cfg.Backend = backend(t)
	}
	if cfg.Credentials.AccessKeyID == "" {
		cfg.Credentials = creds
	}
	p, err := Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// client trusts the proxy's authority alone.
func client(t *testing.T, p *Proxy) *http.Client {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(p.CAPEM()) {
		t.Fatal("no certificate in CAPEM")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// request is an invocation with its signature's parts open to be spoiled.
type request struct {
	path            string // as on the wire
	body            string
	signer          aws.Credentials
	service, region string
	at              time.Time
	header          http.Header // before signing
	spoil           func(*http.Request)
}

func (r request) send(t *testing.T, p *Proxy, c *http.Client) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.URL()+r.path, strings.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	if err := v4.NewSigner().SignHTTP(t.Context(), r.signer, req, hashOf([]byte(r.body)), r.service, r.region, r.at); err != nil {
		t.Fatal(err)
	}
	if r.spoil != nil {
		r.spoil(req)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{status: resp.StatusCode, header: resp.Header, body: body}
}

func right() request {
	return request{
		path: "/2015-03-31/functions/" + arn + "/invocations", body: `{"a": 1}`, signer: creds,
		service: "lambda", region: "eu-central-1", at: time.Now(),
		header: http.Header{"Content-Type": {"application/json"}, "X-Amz-Invocation-Type": {"RequestResponse"}},
	}
}

func TestRightSignaturePasses(t *testing.T) {
	p := start(t, Config{Region: "us-west-2"})
	c := client(t, p)
	change := func(f func(*request)) request {
		r := right()
		f(&r)
		return r
	}
	for name, r := range map[string]request{
		"raw colons":     right(),
		"escaped colons": change(func(r *request) { r.path = strings.ReplaceAll(r.path, ":", "%3A") }),
		"alias, qualifier": change(func(r *request) {
			r.path = strings.Replace(r.path, "hello", "hello:prod", 1) + "?A=1&Qualifier=a%2Fb&Z="
		}),
		"name, no ARN":     change(func(r *request) { r.path, r.region = "/2015-03-31/functions/hello/invocations", "us-west-2" }),
		"no body":          change(func(r *request) { r.body = "" }),
		"hash in a header": change(func(r *request) { r.header.Set("X-Amz-Content-Sha256", hashOf([]byte(r.body))) }),
		"odd headers":      change(func(r *request) { r.header["X-Odd"] = []string{" two  spaces ", "b"} }),
		"4 minutes old":    change(func(r *request) { r.at = r.at.Add(-4 * time.Minute) }),
	} {
		t.Run(name, func(t *testing.T) {
			got := r.send(t, p, c)
			if got.status != http.StatusAccepted || string(got.body) != "got "+r.body {
				t.Errorf("answer %d %q, want the backend's", got.status, got.body)
			}
			if path := got.header.Get("X-Path"); path != r.path {
				t.Errorf("the backend saw the path %s, want %s", path, r.path)
			}
		})
	}
}

func TestWrongSignatureIsRefused(t *testing.T) {
	p := start(t, Config{Region: "us-west-2"})
	c := client(t, p)
	for _, test := range []struct {
		name   string
		change func(*request)
		code   string
		says   string
	}{
		{"no signature", func(r *request) { r.spoil = func(q *http.Request) { q.Header.Del("Authorization") } }, CodeMissingToken, "Missing"},
		{"not SigV4", func(r *request) { r.spoil = func(q *http.Request) { q.Header.Set("Authorization", "Bearer x") } }, CodeIncomplete, algorithm},
		{"no Signature part", func(r *request) {
			r.spoil = func(q *http.Request) {
				text, _, _ := strings.Cut(q.Header.Get("Authorization"), ", Signature=")
				q.Header.Set("Authorization", text)
			}
		}, CodeIncomplete, "Signature"},
		{"two signatures", func(r *request) {
			r.spoil = func(q *http.Request) { q.Header.Add("Authorization", q.Header.Get("Authorization")) }
		}, CodeIncomplete, "once"},
		{"another secret", func(r *request) { r.signer.SecretAccessKey = "other" }, CodeInvalidSignature, "does not match the signature"},
		{"another key", func(r *request) { r.signer.AccessKeyID = "AKIDOTHER" }, CodeUnrecognizedClient, "token"},
		{"a session token", func(r *request) { r.signer.SessionToken = "session" }, CodeUnrecognizedClient, "token"},
		{"region not the ARN's", func(r *request) { r.region = "us-west-2" }, CodeInvalidSignature, "region"},
		{"region not the default", func(r *request) { r.path = "/2015-03-31/functions/hello/invocations" }, CodeInvalidSignature, "region"},
		{"another service", func(r *request) { r.service = "s3" }, CodeInvalidSignature, "service"},
		{"6 minutes old", func(r *request) { r.at = r.at.Add(-6 * time.Minute) }, CodeInvalidSignature, "expired"},
		{"6 minutes ahead", func(r *request) { r.at = r.at.Add(6 * time.Minute) }, CodeInvalidSignature, "not yet current"},
		{"date changed", func(r *request) {
			r.spoil = func(q *http.Request) { q.Header.Set("X-Amz-Date", time.Now().Add(-time.Second).UTC().Format(amzDate)) }
		}, CodeInvalidSignature, ""},
		{"no date", func(r *request) { r.spoil = func(q *http.Request) { q.Header.Del("X-Amz-Date") } }, CodeIncomplete, "X-Amz-Date"},
		{"host not signed", func(r *request) {
			r.spoil = func(q *http.Request) {
				q.Header.Set("Authorization", strings.Replace(q.Header.Get("Authorization"), "host;", "", 1))
			}
		}, CodeInvalidSignature, "'Host'"},
		{"host changed", func(r *request) { r.spoil = func(q *http.Request) { q.Host = "elsewhere" } }, CodeInvalidSignature, "does not match the signature"},
		{"x-amz header not signed", func(r *request) { r.spoil = func(q *http.Request) { q.Header.Set("X-Amz-Log-Type", "Tail") } }, CodeInvalidSignature, "x-amz-log-type"},
		{"signed header changed", func(r *request) { r.spoil = func(q *http.Request) { q.Header.Set("Content-Type", "text/plain") } }, CodeInvalidSignature, "does not match the signature"},
		{"signed header gone", func(r *request) { r.spoil = func(q *http.Request) { q.Header.Del("Content-Type") } }, CodeInvalidSignature, "content-type"},
		{"body changed", func(r *request) {
			r.spoil = func(q *http.Request) { q.Body = io.NopCloser(strings.NewReader(`{"a": 2}`)) }
		}, CodeInvalidSignature, "does not match the signature"},
		{"hash not the body's", func(r *request) {
			r.header.Set("X-Amz-Content-Sha256", hashOf([]byte(r.body)))
			r.spoil = func(q *http.Request) { q.Body = io.NopCloser(strings.NewReader(`{"a": 2}`)) }
		}, CodeInvalidSignature, "x-amz-content-sha256"},
		{"path changed", func(r *request) {
			r.spoil = func(q *http.Request) { q.URL.Path = strings.Replace(q.URL.Path, "hello", "other", 1) }
		}, CodeInvalidSignature, "does not match the signature"},
		{"query added", func(r *request) { r.spoil = func(q *http.Request) { q.URL.RawQuery = "Qualifier=1" } }, CodeInvalidSignature, "does not match the signature"},
		{"method changed", func(r *request) { r.spoil = func(q *http.Request) { q.Method = http.MethodPut } }, CodeInvalidSignature, "does not match the signature"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := right()
			test.change(&r)
			before := len(p.Calls())
			got := r.send(t, p, c)
			var said struct{ Message string }
			if err := json.Unmarshal(got.body, &said); err != nil {
				t.Fatalf("%v: %s", err, got.body)
			}
			code := got.header.Get("X-Amzn-Errortype")
			if got.status != http.StatusForbidden || code != test.code || !strings.Contains(said.Message, test.says) {
				t.Errorf("answer %d %s %q, want 403 %s %q", got.status, code, said.Message, test.code, test.says)
			}
			call := p.Calls()[before]
			if call.Status != http.StatusForbidden || call.Refused != test.code || call.Reason != said.Message {
				t.Errorf("recorded %d %s %q", call.Status, call.Refused, call.Reason)
			}
		})
	}
}

// TestSDKCallsThrough has the SDK's own client make the request.
func TestSDKCallsThrough(t *testing.T) {
	session := creds
	session.SessionToken = "session"
	p := start(t, Config{Credentials: session, Region: "eu-central-1"})
	sdk := awslambda.New(awslambda.Options{
		Region: "eu-central-1", BaseEndpoint: aws.String(p.URL()), HTTPClient: client(t, p), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(session.AccessKeyID, session.SecretAccessKey, session.SessionToken),
	})
	out, err := sdk.Invoke(t.Context(), &awslambda.InvokeInput{FunctionName: aws.String(arn), Payload: []byte(`"payload"`)})
	if err != nil {
		t.Fatal(err)
	}
	if string(out.Payload) != `got "payload"` {
		t.Errorf("payload %q", out.Payload)
	}
	for name := range p.Calls()[0].Header {
		if name == "Authorization" || name == "X-Amz-Security-Token" {
			t.Errorf("the record holds %s", name)
		}
	}
}

func TestTooLarge(t *testing.T) {
	p := start(t, Config{})
	r := right()
	r.body = strings.Repeat("x", MaxBody+1)
	got := r.send(t, p, client(t, p))
	if code := got.header.Get("X-Amzn-Errortype"); got.status != http.StatusRequestEntityTooLarge || code != CodeTooLarge {
		t.Errorf("answer %d %s", got.status, code)
	}
}

// TestRecord checks what tests ask the record for: connections, their first requests,
// protocol, and waiting.
func TestRecord(t *testing.T) {
	p := start(t, Config{})
	one, two := client(t, p), client(t, p)
	two.Transport.(*http.Transport).ForceAttemptHTTP2 = false
	two.Transport.(*http.Transport).TLSClientConfig.NextProtos = []string{"http/1.1"}

	waited := make(chan error, 1)
	go func() {
		_, err := p.Wait(t.Context(), 3)
		waited <- err
	}()
	for _, c := range []*http.Client{one, one, two} {
		right().send(t, p, c)
	}
	if err := <-waited; err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	for _, c := range p.Calls() {
		fmt.Fprintln(&got, c.Conn, c.FirstOnConn, c.Proto, c.SNI, c.Signer, c.Status, string(c.Body))
	}
	want := `1 true HTTP/2.0 localhost AKIDTEST 202 {"a": 1}
1 false HTTP/2.0 localhost AKIDTEST 202 {"a": 1}
2 true HTTP/1.1 localhost AKIDTEST 202 {"a": 1}
`
	if got.String() != want {
		t.Errorf("recorded\n%swant\n%s", &got, want)
	}
	call, err := p.WaitFor(t.Context(), func(c Call) bool { return c.Proto == "HTTP/1.1" })
	if err != nil || call.Conn != 2 {
		t.Errorf("WaitFor found %+v, error %v", call, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Wait(ended, 4); err == nil {
		t.Error("Wait for a call that does not come returned no error")
	}
}

func TestPlain(t *testing.T) {
	p := start(t, Config{Plain: true})
	got := right().send(t, p, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}})
	if got.status != http.StatusAccepted || p.CAPEM() != nil || !strings.HasPrefix(p.URL(), "http://127.0.0.1:") {
		t.Errorf("answer %d %q at %s", got.status, got.body, p.URL())
	}
}

// Fake answers what is signed right, and nothing else, in the backend's place.
func TestFake(t *testing.T) {
	p := start(t, Config{})
	stop := p.Fake("counted")
	wrong := right()
	wrong.signer.SecretAccessKey = "wrong"
	if got := right().send(t, p, client(t, p)); got.status != http.StatusOK || string(got.body) != "counted" {
		t.Errorf("signed right: %d %s", got.status, got.body)
	}
	if got := wrong.send(t, p, client(t, p)); got.status != http.StatusForbidden {
		t.Errorf("signed wrong: %d", got.status)
	}
	stop()
	if got := right().send(t, p, client(t, p)); string(got.body) == "counted" {
		t.Error("it goes on after its end")
	}
	if calls := p.Calls(); len(calls) != 3 || calls[0].Status != http.StatusOK || calls[1].Refused == "" {
		t.Errorf("recorded: %+v", calls)
	}
}

// TestAnswer: a handler gets the body in the backend's place; else the backend does, with
// the Host that was asked for.
func TestAnswer(t *testing.T) {
	p := start(t, Config{})
	c := client(t, p)
	stop := p.Answer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(w, "instead of %s", body)
	}))
	if got := right().send(t, p, c); got.status != http.StatusOK || string(got.body) != `instead of {"a": 1}` {
		t.Errorf("%d %s", got.status, got.body)
	}
	stop()
	if got := right().send(t, p, c); got.status != http.StatusAccepted || !strings.HasPrefix(got.header.Get("X-Host"), "localhost:") {
		t.Errorf("%d for %q", got.status, got.header.Get("X-Host"))
	}
}
