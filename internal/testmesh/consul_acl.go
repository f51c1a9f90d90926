package testmesh

import (
	"context"
	"fmt"

	"github.com/hashicorp/consul/api"
)

// Rules of tokens as Consul's documentation recommends them.
const (
	// ReadMesh lets a proxy discover: every service and node.
	ReadMesh = `
service_prefix "" { policy = "read" }
node_prefix ""    { policy = "read" }
`
	// LambdameshRules are those that docs/registrator.md gives it, and so serve
	// with a registrator inside.
	LambdameshRules = `
service_prefix "" { policy = "write" }
node "lambdas"    { policy = "write" }
node_prefix ""    { policy = "read" }
`
)

// Token makes a policy of the given rules (HCL) and a token that has it alone, and returns
// when every server knows it. The policy is named name and a random part, so that a name
// may be used again.
func (c *Consul) Token(ctx context.Context, name, rules string) (*api.ACLToken, error) {
	w := (&api.WriteOptions{}).WithContext(ctx)
	acl := c.API().ACL()
	policy, _, err := acl.PolicyCreate(&api.ACLPolicy{Name: name + "-" + newUUID()[:8], Rules: rules}, w)
	if err != nil {
		return nil, fmt.Errorf("creating the policy %s: %w", name, err)
	}
	token, _, err := acl.TokenCreate(&api.ACLToken{Description: name, Policies: []*api.ACLTokenPolicyLink{{ID: policy.ID}}}, w)
	if err != nil {
		return nil, fmt.Errorf("creating the token %s: %w", name, err)
	}
	noteSecret(token.SecretID)
	for _, server := range c.servers {
		if !server.Running() {
			continue
		}
		err := Poll(ctx, func(ctx context.Context) error {
			_, _, err := server.APIWith(token.SecretID).ACL().TokenReadSelf((&api.QueryOptions{AllowStale: true}).WithContext(ctx))
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("waiting for %s to know the token %s: %w", server.NodeName(), name, err)
		}
	}
	return token, nil
}

// SetRules changes what a token made by Token may do, while it is in use.
func (c *Consul) SetRules(ctx context.Context, token *api.ACLToken, rules string) error {
	link := token.Policies[0]
	_, _, err := c.API().ACL().PolicyUpdate(&api.ACLPolicy{ID: link.ID, Name: link.Name, Rules: rules}, (&api.WriteOptions{}).WithContext(ctx))
	if err != nil {
		return fmt.Errorf("changing the rules of %s: %w", token.Description, err)
	}
	return nil
}

// DeleteToken revokes a token.
func (c *Consul) DeleteToken(ctx context.Context, token *api.ACLToken) error {
	if _, err := c.API().ACL().TokenDelete(token.AccessorID, (&api.WriteOptions{}).WithContext(ctx)); err != nil {
		return fmt.Errorf("deleting the token %s: %w", token.Description, err)
	}
	return nil
}
