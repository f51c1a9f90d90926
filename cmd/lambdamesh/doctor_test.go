package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/lambdamesh/lambdamesh/internal/doctor"
)

// silent is where a listener takes connections and never says a word. accepted has each.
func silent(t *testing.T) (addr string, accepted <-chan net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conns := make(chan net.Conn, 100)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conns <- conn
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
		close(conns)
		for conn := range conns {
			_ = conn.Close()
		}
	})
	return listener.Addr().String(), conns
}

// everythingSilent are arguments and environment with which nobody answers.
func everythingSilent(t *testing.T, addr string, more ...string) []string {
	t.Helper()
	clean(t)
	t.Setenv("AWS_REGION", "us-east-1")
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDFAKE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "hidden-key")
	t.Setenv("AWS_ENDPOINT_URL", "http://"+addr)
	t.Setenv("CONSUL_HTTP_TOKEN", "hidden-token")
	return append([]string{"doctor", "--consul-http-addr", addr, "--consul-grpc-addr", addr, "--envoy-admin", "http://" + addr}, more...)
}

// Each part says by itself that nobody answered, and all of it ends within few bounds.
func TestDoctorWhereAllHangs(t *testing.T) {
	addr, _ := silent(t)
	args := everythingSilent(t, addr, "--timeout", "200ms", "-o", "json")
	code, stdout, stderr := invoke(t, nil, args...)
	if code != exitFailed || !strings.Contains(stderr, errUnwell.Error()) {
		t.Errorf("exit %d: %s", code, stderr)
	}
	var report doctor.Report
	if err := json.Unmarshal([]byte(stdout), &report); err != nil {
		t.Fatal(err, stdout)
	}
	unanswered := map[string]bool{}
	for _, f := range report.Findings {
		if f.Verdict == doctor.Fail && strings.Contains(f.Text, "no answer within 200ms") {
			unanswered[f.Check] = true
		}
	}
	for _, check := range []string{"consul http", "consul xds", "aws identity", "envoy"} {
		if !unanswered[check] {
			t.Errorf("%s is not said to hang:\n%s", check, stdout)
		}
	}
	if strings.Contains(stdout+stderr, "hidden") {
		t.Errorf("it says a secret:\n%s%s", stdout, stderr)
	}
}

// Ctrl-C ends it at once, whatever hangs.
func TestDoctorStopped(t *testing.T) {
	addr, accepted := silent(t)
	args := everythingSilent(t, addr, "--timeout", "10m")
	ctx, cancel := context.WithCancel(t.Context())
	var stderr strings.Builder
	ended := make(chan int)
	go func() { ended <- run(ctx, args, variables(nil), io.Discard, &stderr) }()
	conn := <-accepted // something hangs now
	defer conn.Close()
	cancel()
	select {
	case code := <-ended:
		if code != exitFailed || stderr.String() != "lambdamesh: stopped before all was checked\n" {
			t.Errorf("exit %d: %s", code, stderr.String())
		}
	case <-time.After(5 * time.Second):
		t.Fatal("it goes on")
	}
}
