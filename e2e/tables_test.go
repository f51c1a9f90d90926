package e2e

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"

	"github.com/lambdamesh/lambdamesh/internal/golden"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// asked is a request of the tables, testdata/TABLE/NAME.request.json.
type asked struct {
	Service string      `json:"service"`
	Method  string      `json:"method"` // default POST
	Path    string      `json:"path"`   // default /
	Header  http.Header `json:"header"`
	Body    string      `json:"body"`
	Bytes   []byte      `json:"bytes"` // in place of Body, in base64: what is no text
	Tell    any         `json:"tell"`  // in place of both: what tell.py is to do, as application/json
	Chunked bool        `json:"chunked"`
}

// seen is what became of it, testdata/TABLE/NAME.seen.json.
type seen struct {
	Invocation *invoked `json:"invocation,omitempty"` // as AWS got it
	Event      any      `json:"event,omitempty"`      // its body: what the function gets
	Answer     *answer  `json:"answer,omitempty"`     // as the caller got it
}

type invoked struct {
	Method string      `json:"method"`
	Path   string      `json:"path"`
	Header http.Header `json:"header"`
}

type answer struct {
	Status int         `json:"status"`
	Header http.Header `json:"header"`
	Body   string      `json:"body"`
}

// TestTables holds what Envoy's filter makes of requests (testdata/requests) and of
// answers (testdata/answers). A new Envoy's other ways show as a difference in a file.
func TestTables(t *testing.T) {
	t.Parallel()
	s := begin(t, testmesh.MeshConfig{NoRegistrator: true})
	arn, err := s.AWS.CreateFunction(s.ctx, testmesh.Function{Name: "tell", File: s.source("tell"), Timeout: 1})
	s.must(err)
	throttled := s.function("throttled", "hello", nil)
	s.throttle("throttled")
	services := map[string]struct {
		meta   map[string]string
		status int
	}{
		"envelope":        {meta(arn), 200},
		"passthrough":     {meta(arn, "payload-passthrough", "true"), 200},
		"raw-envelope":    {meta(arn, "error-mapping", "false"), 200},
		"raw-passthrough": {meta(arn, "error-mapping", "false", "payload-passthrough", "true"), 200},
		"later":           {meta(arn, "invocation-mode", "ASYNCHRONOUS"), 202},
		"throttled":       {meta(throttled), 429},
		"missing":         {meta(strings.Replace(arn, "tell", "missing", 1)), 404},
	}
	var names []string
	for name, service := range services {
		names = append(names, name)
		s.byHand(name, service.meta)
		s.allow("web", name)
	}
	s.gateway("gateway", "*")
	web := s.sidecar("web", names...)
	for name, service := range services {
		s.answers(web, name, testmesh.Request{Method: "POST", Body: "{}"}, service.status)
	}
	s.run("requests", func(t *testing.T) {
		s.table("requests", func(r asked) seen {
			before := len(s.AWS.Invoke.Calls())
			s.ask(web, r)
			calls := s.AWS.Invoke.Calls()[before:]
			if len(calls) != 1 {
				s.t.Fatalf("AWS got %d calls", len(calls))
			}
			return s.invocation(calls[0])
		})
	})
	s.run("answers", func(t *testing.T) {
		s.table("answers", func(r asked) seen { return seen{Answer: s.ask(web, r)} })
	})
	s.signed()
}

// table compares each request of a table with its file.
func (s *story) table(name string, try func(asked) seen) {
	s.t.Helper()
	requests, err := filepath.Glob(filepath.Join("testdata", name, "*.request.json"))
	s.must(err)
	if len(requests) == 0 {
		s.t.Fatal("the table is empty")
	}
	var outputs []string
	for _, file := range requests {
		output := strings.TrimSuffix(file, ".request.json") + ".seen.json"
		outputs = append(outputs, output)
		b, err := os.ReadFile(file)
		s.must(err)
		var r asked
		s.must(json.Unmarshal(b, &r))
		s.run(strings.TrimSuffix(filepath.Base(file), ".request.json"), func(t *testing.T) {
			b, err := golden.JSON(try(r))
			s.must(err)
			golden.Equal(t, output, b)
		})
	}
	golden.Only(s.t, filepath.Join("testdata", name, "*.seen.json"), outputs...)
}

// ask makes a call as it is written in a file, with nothing that Go's client adds.
func (s *story) ask(c *testmesh.Sidecar, r asked) *answer {
	s.t.Helper()
	body := []byte(r.Body)
	if r.Bytes != nil {
		body = r.Bytes
	}
	header := http.Header{"User-Agent": {"table"}}
	if r.Tell != nil {
		var err error
		body, err = json.Marshal(r.Tell)
		s.must(err)
		header.Set("Content-Type", "application/json")
	}
	for name, values := range r.Header {
		header[name] = values
	}
	var reader io.Reader = bytes.NewReader(body)
	if r.Chunked {
		reader = io.MultiReader(reader) // of unknown length
	}
	req, err := http.NewRequestWithContext(s.ctx, cmp.Or(r.Method, http.MethodPost), c.URL(r.Service, cmp.Or(r.Path, "/")), reader)
	s.must(err)
	req.Header = header
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}}).Do(req)
	s.must(err)
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	s.must(err)
	return &answer{Status: resp.StatusCode, Header: s.stable(resp.Header), Body: stableText(string(got))}
}

// invocation is what AWS got.
func (s *story) invocation(c call) seen {
	s.t.Helper()
	got := seen{Invocation: &invoked{Method: c.Method, Path: c.Path, Header: s.stable(c.Header)}}
	if len(c.Body) == 0 {
		return got
	}
	text := string(c.Body)
	if err := json.Unmarshal(c.Body, &got.Event); err != nil {
		got.Event = stableText(text)
		return got
	}
	if event, ok := got.Event.(map[string]any); ok {
		if headers, ok := event["headers"].(map[string]any); ok {
			for name, value := range headers {
				headers[name] = stableHeader(name, value.(string))
				if noise.MatchString(name) {
					delete(headers, name)
				}
			}
		}
	}
	return got
}

// throttle makes AWS answer each call of a function with 429.
func (s *story) throttle(name string) {
	s.t.Helper()
	_, err := s.AWS.Lambda().PutFunctionConcurrency(s.ctx, &awslambda.PutFunctionConcurrencyInput{
		FunctionName: &name, ReservedConcurrentExecutions: aws.Int32(0),
	})
	s.must(err)
}

// varying are the headers whose values differ from run to run, or with a route's
// timeout.
var varying = []string{
	"x-amz-content-sha256", "x-amz-date", "x-amzn-requestid", "x-envoy-expected-rq-timeout-ms", "x-envoy-original-host", "x-request-id",
}

// noise is what says nothing of Envoy's filter: the connection's, and what the
// emulator alone adds.
var noise = regexp.MustCompile(`(?i)^(access-control-.*|content-length|date|server|x-amz-id-2|x-amz-request-id|x-envoy-upstream-service-time)$`)

func (s *story) stable(h http.Header) http.Header {
	out := http.Header{}
	for name, values := range h {
		if noise.MatchString(name) {
			continue
		}
		for _, value := range values {
			out.Add(name, stableHeader(name, value))
		}
	}
	return out
}

func stableHeader(name, value string) string {
	if slices.Contains(varying, strings.ToLower(name)) {
		return "(any)"
	}
	return stableText(value)
}

var unstable = []*regexp.Regexp{
	regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), // ids, trust domain
	regexp.MustCompile(`-----BEGIN%20CERTIFICATE-----[^"]*`),
	regexp.MustCompile(`[0-9a-f]{64}`),          // hash of a certificate
	regexp.MustCompile(`"stackTrace": \[.*?\]`), // where the emulator runs the function
}

func stableText(s string) string {
	for _, r := range unstable {
		s = r.ReplaceAllString(s, "(any)")
	}
	return s
}
