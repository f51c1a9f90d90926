// Package fakeaws is a fake: it answers as AWS answers a registrator, for one account
// in one region with as many functions as wanted, each call after the time that a call
// of AWS takes, and counts the calls. No emulator holds 100,000 functions, or takes its
// time on demand. It checks no signature.
package fakeaws

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// Where all functions are.
const (
	account = "123456789012"
	region  = "eu-central-1"
)

// Functions says which functions there are. They are named f000000 and so on; the
// first ones are in the mesh, the others bear tags of somebody else's.
type Functions struct {
	Total   int
	Enabled int // of them in the mesh
}

// ARN is that of the i-th function.
func ARN(i int) lambda.ARN {
	return lambda.ARN{Partition: "aws", Region: region, Account: account, Name: fmt.Sprintf("f%06d", i)}
}

// Server is the fake. It is safe for concurrent use.
type Server struct {
	latency time.Duration // of each call
	http    http.Server
	url     string

	mu        sync.Mutex
	functions Functions
	calls     map[string]int // by operation
}

// Start starts one without functions on a free port of loopback.
func Start(latency time.Duration) (*Server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting the fake AWS: %w", err)
	}
	s := &Server{latency: latency, url: "http://" + l.Addr().String(), calls: map[string]int{}}
	s.http = http.Server{Handler: http.HandlerFunc(s.serve), ReadHeaderTimeout: time.Minute}
	go func() {
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			panic(err) // only a broken listener can do that, and this one is ours
		}
	}()
	return s, nil
}

// Set has it hold these functions from now on.
func (s *Server) Set(functions Functions) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.functions = functions
}

// Close ends it, and the calls that are under way.
func (s *Server) Close() { _ = s.http.Close() }

// Env is what points AWS's SDK at it and at nothing else.
func (s *Server) Env() map[string]string {
	return map[string]string{
		"AWS_ENDPOINT_URL": s.url, "AWS_REGION": region,
		"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_SESSION_TOKEN": "",
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_CA_BUNDLE": "",
	}
}

// Calls are the calls since the last time, by operation.
func (s *Server) Calls() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := maps.Clone(s.calls)
	clear(s.calls)
	return calls
}
