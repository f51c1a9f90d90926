package testmesh

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Request is a call through a sidecar. The zero value is GET /.
type Request struct {
	Method string
	Path   string // with the query
	Header http.Header
	Body   string
}

// Response is its answer.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// Call calls an upstream of the sidecar once, on a connection of its own. An error is
// that of the connection; any status is a Response.
func (s *Sidecar) Call(ctx context.Context, upstream string, r Request) (Response, error) {
	req, err := http.NewRequestWithContext(ctx, cmp.Or(r.Method, http.MethodGet), s.URL(upstream, cmp.Or(r.Path, "/")), strings.NewReader(r.Body))
	if err != nil {
		return Response{}, fmt.Errorf("calling %s: %w", upstream, err)
	}
	for name, values := range r.Header {
		req.Header[name] = values
	}
	resp, err := (&http.Client{Transport: newTransport()}).Do(req)
	if err != nil {
		return Response{}, fmt.Errorf("calling %s: %w", upstream, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return Response{}, fmt.Errorf("calling %s: %w", upstream, err)
	}
	return Response{Status: resp.StatusCode, Header: resp.Header, Body: body}, nil
}

// WaitStatus calls an upstream until it answers with this status, and returns that
// answer.
func (s *Sidecar) WaitStatus(ctx context.Context, upstream string, r Request, status int) (Response, error) {
	var got Response
	err := Poll(ctx, func(ctx context.Context) (err error) {
		got, err = s.Call(ctx, upstream, r)
		if err == nil && got.Status != status {
			err = fmt.Errorf("%s answered %d, want %d: %.300s", upstream, got.Status, status, got.Body)
		}
		return err
	})
	return got, err
}
