package admin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// ClientConfig says where a running server can be asked, and with what.
type ClientConfig struct {
	Addr      string // host:port; https where CAFile or TokenFile is given
	CAFile    string // PEM bundle that verifies its certificate; empty: the system's
	TokenFile string // its content, trimmed, is the bearer token
}

const (
	// fetchTimeout bounds the question.
	fetchTimeout = 10 * time.Second

	// maxState bounds the answer: 100,000 functions and as many proxies take less.
	maxState = 256 << 20
)

// Fetch is the state of a running server.
func Fetch(ctx context.Context, cfg ClientConfig) (State, error) {
	var state State
	err := fetch(ctx, cfg, "/api/v1/state", &state)
	return state, err
}

// fetch reads the answer of a running server.
func fetch(ctx context.Context, cfg ClientConfig, path string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	token, err := Guard{TokenFile: cfg.TokenFile}.Token()
	if err != nil {
		return err
	}
	scheme, transport := "http", &http.Transport{DisableKeepAlives: true}
	if cfg.CAFile != "" || token != "" {
		scheme = "https"
	}
	if cfg.CAFile != "" {
		pem, err := os.ReadFile(cfg.CAFile)
		if err != nil {
			return fmt.Errorf("reading the CA bundle of the admin address: %w", err)
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return fmt.Errorf("reading the CA bundle of the admin address: %s holds no certificate", cfg.CAFile)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+cfg.Addr+path, nil)
	if err != nil {
		return fmt.Errorf("asking the lambdamesh at %s: %w", cfg.Addr, err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return fmt.Errorf("asking the lambdamesh at %s: %w", cfg.Addr, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		words, _ := io.ReadAll(io.LimitReader(resp.Body, 200))
		return fmt.Errorf("asking the lambdamesh at %s: %s: %s", cfg.Addr, resp.Status, strings.TrimSpace(string(words)))
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxState)).Decode(into); err != nil {
		return fmt.Errorf("reading the answer of %s: %w", cfg.Addr, errors.Join(err, errNoState))
	}
	return nil
}

var errNoState = errors.New("it is not that of a lambdamesh")
