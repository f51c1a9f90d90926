package admin_test

import (
	"context"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/lambdamesh/lambdamesh/internal/admin"
	"github.com/lambdamesh/lambdamesh/lambda"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestHealth(t *testing.T) {
	reason := "Consul is away"
	sources := admin.Sources{Unready: func() string { return reason }}
	all, probes := admin.Handler(sources, prometheus.NewRegistry(), ""), admin.Probes(sources)
	for _, test := range []struct {
		h      http.Handler
		path   string
		reason string
		code   int
		body   string
	}{
		{all, "/livez", "Consul is away", 200, "ok"},
		{all, "/readyz", "Consul is away", 503, "Consul is away"},
		{all, "/readyz", "", 200, "ok"},
		{all, "/nothing", "", 404, "404 page not found"},
		{probes, "/livez", "Consul is away", 200, "ok"},
		{probes, "/readyz", "Consul is away", 503, "unready"},
		{probes, "/readyz", "", 200, "ok"},
		{probes, "/api/v1/state", "", 404, "404 page not found"},
		{probes, "/metrics", "", 404, "404 page not found"},
	} {
		reason = test.reason
		got := get(test.h, test.path, "")
		if got.Code != test.code || strings.TrimSpace(got.Body.String()) != test.body {
			t.Errorf("%s with reason %q: %d %q, want %d %q", test.path, test.reason, got.Code, got.Body, test.code, test.body)
		}
	}
}

func TestOnlyGET(t *testing.T) {
	h := admin.Handler(admin.Sources{Unready: func() string { return "" }}, prometheus.NewRegistry(), "")
	for _, path := range []string{"/", "/livez", "/readyz", "/metrics", "/api/v1/state"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, nil))
		if w.Code != http.StatusMethodNotAllowed {
			t.Errorf("POST %s: %d", path, w.Code)
		}
		if got := get(h, path, ""); got.Code != http.StatusOK {
			t.Errorf("GET %s: %d", path, got.Code)
		}
	}
}

func TestBearer(t *testing.T) {
	h := admin.Handler(admin.Sources{Unready: func() string { return "" }}, prometheus.NewRegistry(), "s3cret")
	for authorization, code := range map[string]int{
		"": 401, "s3cret": 401, "Basic s3cret": 401, "Bearer": 401, "Bearer wrong": 401, "Bearer s3cret2": 401,
		"Bearer s3cret": 200, "bearer s3cret": 200,
		password("anybody", "s3cret"): 200, password("", "s3cret"): 200,
		password("s3cret", ""): 401, password("anybody", "wrong"): 401, "Basic": 401,
	} {
		for _, path := range []string{"/", "/livez", "/readyz", "/metrics", "/api/v1/state"} {
			got := get(h, path, authorization)
			if got.Code != code {
				t.Errorf("%s with %q: %d, want %d", path, authorization, got.Code, code)
			}
			if strings.Contains(got.Body.String(), "s3cret") {
				t.Errorf("%s answers the token", path)
			}
		}
	}
}

// password is what a browser sends of what it was told.
func password(user, word string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+word))
}

func TestTableMetrics(t *testing.T) {
	var table admin.Table
	metrics := prometheus.NewPedanticRegistry()
	metrics.MustRegister(admin.TableMetrics(func() admin.Table { return table }))
	h := admin.Handler(admin.Sources{}, metrics, "")
	if got := get(h, "/metrics", "").Body.String(); strings.Contains(got, "lambdamesh_table_age_seconds") {
		t.Errorf("an age without a Table: %s", got)
	}
	table = admin.Table{Confirmed: time.Now(), Table: lambda.NewTable(
		lambda.Service{Name: lambda.NewServiceName("a", "", ""), State: lambda.StateOK},
		lambda.Service{Name: lambda.NewServiceName("b", "", ""), State: lambda.StateOK},
		lambda.Service{Name: lambda.NewServiceName("c", "", ""), State: lambda.StateError},
	)}
	got := get(h, "/metrics", "").Body.String()
	for _, line := range []string{
		`lambdamesh_services{state="conflict"} 0`,
		`lambdamesh_services{state="disabled"} 0`,
		`lambdamesh_services{state="error"} 1`,
		`lambdamesh_services{state="ok"} 2`,
		`lambdamesh_table_age_seconds `,
	} {
		if !strings.Contains(got, line) {
			t.Errorf("no %q in %s", line, got)
		}
	}
}

func TestServeEndsWithItsContext(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- admin.Serve(ctx, l, admin.Probes(admin.Sources{Unready: func() string { return "" }}))
	}()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get("http://" + l.Addr().String() + "/livez")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
		t.Error("it still listens")
	}
}
