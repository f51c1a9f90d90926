package consul

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Right is something that a token may do: Access (read, write, list) to a Resource
// (service, node, key, ...), of the name Segment where the resource has names.
type Right struct {
	Resource string
	Segment  string
	Access   string
}

// maxAnswer bounds an answer that is read whole.
const maxAnswer = 1 << 20

// Authorize asks which of some rights our token has, in their order. Consul's own UI asks
// so (1.22.5); the path is not part of the documented API, and its client does not have
// it.
func (c *Client) Authorize(ctx context.Context, rights []Right) ([]bool, error) {
	body, err := json.Marshal(rights)
	if err != nil {
		return nil, fmt.Errorf("asking Consul for our rights: %w", err)
	}
	where := url.URL{Scheme: c.config.Scheme, Host: c.config.Address, Path: c.config.PathPrefix + "/v1/internal/acl/authorize"}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, where.String(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("asking Consul for our rights: %w", err)
	}
	if c.config.Token != "" {
		req.Header.Set("X-Consul-Token", c.config.Token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking Consul for our rights: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, strings.TrimSpace(string(text)))
	}
	var answers []struct{ Allow bool }
	if err == nil {
		err = json.Unmarshal(text, &answers)
	}
	if err == nil && len(answers) != len(rights) {
		err = fmt.Errorf("%d answers to %d questions", len(answers), len(rights))
	}
	if err != nil {
		return nil, fmt.Errorf("asking Consul for our rights: %w", err)
	}
	allowed := make([]bool, len(answers))
	for i, one := range answers {
		allowed[i] = one.Allow
	}
	return allowed, nil
}
