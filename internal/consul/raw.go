package consul

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// maxAnswer bounds an answer that is read whole, in bytes.
const maxAnswer = 1 << 20

// rawAnswer is a 200 of Consul's HTTP API.
type rawAnswer struct {
	text   []byte
	header http.Header
	tls    *tls.ConnectionState // nil in plain text
}

// raw makes a request that Consul's own client has no function for, or of whose answer it
// gives too little. An answer other than 200 is an error with Consul's words.
func (c *Client) raw(ctx context.Context, method, path string, body []byte) (rawAnswer, error) {
	where := url.URL{Scheme: c.config.Scheme, Host: c.config.Address, Path: c.config.PathPrefix + path}
	if strings.HasPrefix(c.Address, unixScheme) {
		where.Host = "localhost" // the transport knows the socket
	}
	req, err := http.NewRequestWithContext(ctx, method, where.String(), bytes.NewReader(body))
	if err != nil {
		return rawAnswer{}, err
	}
	if c.config.Token != "" {
		req.Header.Set("X-Consul-Token", c.config.Token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return rawAnswer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, strings.TrimSpace(string(text)))
	}
	return rawAnswer{text, resp.Header, resp.TLS}, err
}
