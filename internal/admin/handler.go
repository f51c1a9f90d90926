package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Handler answers everything. With a token, each request must bear it.
func Handler(sources Sources, metrics prometheus.Gatherer, token string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if reason := sources.Unready(); reason != "" {
			text(w, http.StatusServiceUnavailable, reason)
			return
		}
		text(w, http.StatusOK, "ok")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /api/v1/state", func(w http.ResponseWriter, _ *http.Request) {
		writeState(w, sources.State(time.Now()))
	})
	mux.HandleFunc("GET "+pathResources+"{name...}", sources.serveResources)
	sources.addPages(mux)
	if token == "" {
		return mux
	}
	return bearer(mux, token)
}

// Probes answers /livez and /readyz with one word each, to anybody.
func Probes(sources Sources) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if sources.Unready() != "" {
			text(w, http.StatusServiceUnavailable, "unready")
			return
		}
		text(w, http.StatusOK, "ok")
	})
	return mux
}

// bearer lets only requests with the token through. A browser cannot send one by itself,
// but asks for a password: that may be the token, whatever the user's name. Hashes are
// compared, so that the time taken tells nothing of the token, its length included.
func bearer(next http.Handler, token string) http.Handler {
	want := sha256.Sum256([]byte(token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		ok := strings.EqualFold(scheme, "Bearer")
		if !ok {
			_, given, ok = r.BasicAuth()
		}
		got := sha256.Sum256([]byte(given))
		if !ok || subtle.ConstantTimeCompare(want[:], got[:]) != 1 {
			w.Header()["Www-Authenticate"] = []string{"Bearer", `Basic realm="lambdamesh: the token is the password"`}
			text(w, http.StatusUnauthorized, "a bearer token is needed")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func writeState(w http.ResponseWriter, state State) {
	secure(w)
	w.Header().Set("Content-Type", "application/json")
	_ = state.WriteJSON(w) // the client is gone: nobody is left to tell
}

func text(w http.ResponseWriter, code int, s string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	_, _ = fmt.Fprintln(w, s)
}
