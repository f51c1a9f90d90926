package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// refusingAWS answers every call of AWS's with a refusal, and says that it was
// asked.
func refusingAWS(t *testing.T) (asked chan struct{}) {
	t.Helper()
	asked = make(chan struct{}, 1000)
	aws := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked <- struct{}{}
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"__type": "AccessDeniedException", "message": "not you"}`)
	}))
	t.Cleanup(aws.Close)
	t.Cleanup(http.DefaultTransport.(*http.Transport).CloseIdleConnections)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": aws.URL, "AWS_REGION": "us-east-1", "AWS_MAX_ATTEMPTS": "1",
		"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "do-not-print", "CONSUL_HTTP_TOKEN": "nor-this",
	} {
		t.Setenv(name, value)
	}
	return asked
}

func TestSyncThatFailsExitsWith1(t *testing.T) {
	for _, args := range []string{"sync", "sync --dry-run", "sync --dry-run -o json"} {
		clean(t)
		refusingAWS(t)
		code, stdout, stderr := invoke(t, nil, append(strings.Fields(args), "--consul-http-addr=127.0.0.1:1")...)
		if code != exitFailed || stdout != "" {
			t.Errorf("%s: exit %d, stdout %q", args, code, stdout)
		}
		if strings.Count(stderr, "lambdamesh: ") != 1 || !strings.Contains(stderr, "not you") {
			t.Errorf("%s: stderr does not say what AWS said: %q", args, stderr)
		}
		if strings.Contains(stderr, "do-not-print") || strings.Contains(stderr, "nor-this") {
			t.Errorf("%s prints a secret: %q", args, stderr)
		}
	}
}

// The registrator goes on after a failed run, and ends well when it is told to.
func TestRegistratorEndsWhenTold(t *testing.T) {
	clean(t)
	asked := refusingAWS(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stderr buffer
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"registrator", "--consul-http-addr=127.0.0.1:1", "--sync-interval=10ms"}, variables(nil), io.Discard, &stderr)
	}()
	for range 3 {
		select {
		case <-asked:
		case got := <-code:
			t.Fatalf("it ended by itself with %d: %s", got, stderr.String())
		}
	}
	cancel()
	if got := <-code; got != exitOK {
		t.Errorf("exit %d: %s", got, stderr.String())
	}
	if strings.Contains(stderr.String(), "do-not-print") || strings.Contains(stderr.String(), "nor-this") {
		t.Errorf("it prints a secret: %s", stderr.String())
	}
}

// An embedded registrator that fails is shown, and does not make serve unready.
func TestServeShowsTheRegistrator(t *testing.T) {
	clean(t)
	refusingAWS(t)
	l, err := net.Listen("tcp", "127.0.0.1:0") // a Consul that never answers
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := serve(t, nil, "--consul-http-addr="+l.Addr().String(), "--consul-grpc-addr=127.0.0.1:1", "--registrator")
	s.answers(t, s.admin, "/api/v1/state", 200, "not you")
	state := s.state(t)
	if r := state.Registrator; r == nil || r.LastRun == nil || r.LastSuccess != nil || len(r.Changes) != 0 {
		t.Errorf("registrator %+v", r)
	}
	s.answers(t, s.admin, "/metrics", 200, "lambdamesh_aws_requests_total")
	_, reason, err := s.get(t.Context(), s.admin, "/readyz")
	if err != nil || strings.Contains(reason, "not you") {
		t.Errorf("readyz %q, %v", reason, err)
	}
	s.ends(t)
}
