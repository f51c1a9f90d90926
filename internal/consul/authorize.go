package consul

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// Right is something that a token may do: Access (read, write, list) to a Resource
// (service, node, key, ...), of the name Segment where the resource has names.
type Right struct {
	Resource string
	Segment  string
	Access   string
}

// Authorize asks which of some rights our token has, in their order. Consul's own UI asks
// so (1.22.5); the path is not part of the documented API, and its client does not have
// it.
func (c *Client) Authorize(ctx context.Context, rights []Right) ([]bool, error) {
	allowed, err := c.authorize(ctx, rights)
	if err != nil {
		return nil, fmt.Errorf("asking Consul for our rights: %w", err)
	}
	return allowed, nil
}

func (c *Client) authorize(ctx context.Context, rights []Right) ([]bool, error) {
	body, err := json.Marshal(rights)
	if err != nil {
		return nil, err
	}
	got, err := c.raw(ctx, http.MethodPost, "/v1/internal/acl/authorize", body)
	if err != nil {
		return nil, err
	}
	var answers []struct{ Allow bool }
	if err := json.Unmarshal(got.text, &answers); err != nil {
		return nil, err
	}
	if len(answers) != len(rights) {
		return nil, fmt.Errorf("%d answers to %d questions", len(answers), len(rights))
	}
	allowed := make([]bool, len(answers))
	for i, one := range answers {
		allowed[i] = one.Allow
	}
	return allowed, nil
}
