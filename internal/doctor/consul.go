package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/lambdamesh/lambdamesh/internal/consul"
)

// Consul is what is checked of Consul.
type Consul struct {
	Client   *consul.Client
	NodeName string // the registrator's node
}

// right is one right of our token: who needs it, and the rule that gives it.
type right struct {
	consul.Right

	what     string // it is for
	rule     string
	required bool // without it nothing works
}

// Rights of lambdamesh's own token. The segment of a prefix rule is a name that the rule
// covers and nobody has.
func rights(node string) []right {
	const nobody = "lambdamesh-doctor"
	return []right{
		{consul.Right{Resource: "service", Segment: nobody, Access: "read"}, "serve: reading functions' Meta", `service_prefix "" { policy = "read" }`, true},
		{consul.Right{Resource: "node", Segment: nobody, Access: "read"}, "serve: telling gateways from sidecars", `node_prefix "" { policy = "read" }`, false},
		{consul.Right{Resource: "service", Segment: nobody, Access: "write"}, "registrator: services and their entries", `service_prefix "" { policy = "write" }`, false},
		{consul.Right{Resource: "node", Segment: node, Access: "write"}, "registrator: making and reading its node", fmt.Sprintf("node %q { policy = \"write\" }", node), false},
		{consul.Right{Resource: "key", Segment: "lambdamesh/registrator", Access: "write"}, "registrator: a lock between replicas", `key_prefix "lambdamesh/" { policy = "write" }`, false},
		{consul.Right{Resource: "session", Segment: nobody, Access: "write"}, "registrator: a lock between replicas", `session_prefix "" { policy = "write" }`, false},
		{consul.Right{Resource: "mesh", Segment: "", Access: "write"}, "registrator: --terminating-gateway, --export-to", `mesh = "write"`, false},
	}
}

// Check asks Consul whether it is there, what the time is there, and what our token may.
func (c Consul) Check(ctx context.Context, r *Report) {
	ctx, cancel := asking(ctx)
	defer cancel()
	leader, err := c.Client.API.Status().LeaderWithQueryOptions((&api.QueryOptions{}).WithContext(ctx))
	switch {
	case err != nil:
		r.add("consul http", Fail, err.Error(), "is --consul-http-addr (CONSUL_HTTP_ADDR) Consul's API, with https:// where it has TLS, and CONSUL_CACERT the CA of its certificate?")
		return
	case leader == "":
		r.add("consul http", Fail, c.Client.Address+" answers, and has no leader", "Consul's servers must elect one: see their logs")
		return
	}
	r.add("consul http", OK, c.Client.Address+" answers, its leader is "+leader, "")
	c.checkToken(ctx, r)
}

func (c Consul) checkToken(ctx context.Context, r *Report) {
	self, _, err := c.Client.API.ACL().TokenReadSelf((&api.QueryOptions{}).WithContext(ctx))
	var status api.StatusError
	switch {
	case errors.As(err, &status) && status.Code == http.StatusUnauthorized, err != nil && status.Code == http.StatusInternalServerError:
		r.add("consul acl", OK, "ACLs are off", "")
		return
	case err != nil:
		r.add("consul acl", Fail, "lambdamesh's own token: "+err.Error(), "give it a token of its own: CONSUL_HTTP_TOKEN or --consul-token-file")
		return
	case self.ExpirationTime != nil:
		r.add("consul acl", Warn, "the token runs out at "+self.ExpirationTime.Format(time.RFC3339), "lambdamesh reads its token at start: restart it with another before that")
	default:
		r.add("consul acl", OK, "the token is known, accessor "+self.AccessorID, "")
	}
	c.checkRights(ctx, r)
}

// checkRights asks Consul about each right.
func (c Consul) checkRights(ctx context.Context, r *Report) {
	asked := rights(c.NodeName)
	var questions []consul.Right
	for _, one := range asked {
		questions = append(questions, one.Right)
	}
	allowed, err := c.Client.Authorize(ctx, questions)
	if err != nil {
		r.add("consul rights", Warn, err.Error(), "compare the token's policy with docs/registrator.md by eye")
		return
	}
	for i, one := range asked {
		check := "consul right " + one.Resource + ":" + one.Access
		switch {
		case allowed[i]:
			r.add(check, OK, one.what, "")
		case one.required:
			r.add(check, Fail, "missing, for "+one.what, "add to the token's policy: "+one.rule)
		default:
			r.add(check, Warn, "missing, for "+one.what, "where that is wanted, add to the token's policy: "+one.rule)
		}
	}
}
