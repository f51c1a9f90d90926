package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/lambdamesh/lambdamesh/internal/consul"
)

// Consul is what is checked of Consul's HTTP API.
type Consul struct {
	Client   *consul.Client
	NodeName string // the registrator's node
}

var httpRemedies = remedies{
	address: "--consul-http-addr (CONSUL_HTTP_ADDR)",
	plain:   "write http:// before --consul-http-addr (CONSUL_HTTP_ADDR), and unset CONSUL_HTTP_SSL; or is it the port of another API?",
	tls:     "write https:// before --consul-http-addr (CONSUL_HTTP_ADDR)",
	ca:      "CONSUL_CACERT=FILE (or CONSUL_CAPATH)",
	name:    "CONSUL_TLS_SERVER_NAME=NAME, or that name in --consul-http-addr (CONSUL_HTTP_ADDR)",
	client:  "CONSUL_CLIENT_CERT=FILE and CONSUL_CLIENT_KEY=FILE",
}

// Check asks Consul whether it is there, what the time is there, and what our token may.
func (c Consul) Check(ctx context.Context, r *Report) {
	var probed consul.Probed
	err := r.ask(ctx, func(ctx context.Context) (err error) {
		probed, err = c.Client.Probe(ctx)
		return err
	})
	switch {
	case err != nil:
		var text, next string
		_ = r.ask(ctx, func(ctx context.Context) error {
			text, next = httpRemedies.explain(ctx, err, c.server())
			return nil
		})
		r.add("consul http", Fail, c.Client.Address+": "+text, next)
		return
	case probed.Leader == "":
		r.add("consul http", Fail, c.Client.Address+" answers, and has no leader", "Consul's servers must elect one: see their logs")
		return
	}
	r.add("consul http", OK, c.Client.Address+" answers, its leader is "+probed.Leader, "")
	if probed.Certificate != nil {
		v, text, next := validity(probed.Certificate, time.Now())
		r.add("consul http tls", v, text, next)
	}
	if !probed.Time.IsZero() {
		consulClock.check(r, time.Since(probed.Time))
	}
	c.checkToken(ctx, r)
}

// server is host:port of what is asked with TLS, else empty.
func (c Consul) server() string {
	rest, found := strings.CutPrefix(c.Client.Address, "https://")
	if !found {
		return ""
	}
	server, _, _ := strings.Cut(rest, "/")
	return server
}

func (c Consul) checkToken(ctx context.Context, r *Report) {
	var self *api.ACLToken
	err := r.ask(ctx, func(ctx context.Context) (err error) {
		self, _, err = c.Client.API.ACL().TokenReadSelf((&api.QueryOptions{}).WithContext(ctx))
		return err
	})
	var status api.StatusError
	switch {
	case errors.As(err, &status) && (status.Code == http.StatusUnauthorized || status.Code == http.StatusInternalServerError):
		r.add("consul acl", OK, "ACLs are off", "")
		return
	// Consul 1.22.5 does not know the anonymous token by this question.
	case c.Client.Tokenless && errors.As(err, &status) && status.Code == http.StatusForbidden:
		r.add("consul acl", Warn, "no token is given: what follows is what anybody may", "give it a token of its own: CONSUL_HTTP_TOKEN or --consul-token-file")
	case err != nil:
		r.add("consul acl", Fail, "lambdamesh's own token: "+cmp.Or(status.Body, err.Error()), "give it a token of its own: CONSUL_HTTP_TOKEN or --consul-token-file")
		return
	case self.ExpirationTime != nil:
		r.add("consul acl", Warn, "the token runs out at "+self.ExpirationTime.Format(time.RFC3339), "lambdamesh reads its token at start: restart it with another before that")
	default:
		r.add("consul acl", OK, "the token is known, accessor "+self.AccessorID, "")
	}
	c.checkRights(ctx, r)
}

// right is one right of our token: what for, and the rule that gives it.
type right struct {
	consul.Right

	what     string
	rule     string
	required bool // without it nothing works
}

// rights are those of lambdamesh's own token. The segment of a prefix rule is a name that
// the rule covers and nobody has.
func rights(node string) []right {
	const nobody = "lambdamesh-doctor"
	ask := func(resource, segment, access string) consul.Right {
		return consul.Right{Resource: resource, Segment: segment, Access: access}
	}
	lock := "registrator: a lock between replicas"
	return []right{
		{ask("service", nobody, "read"), "serve: reading functions' Meta", `service_prefix "" { policy = "read" }`, true},
		{ask("intention", nobody, "read"), "serve: whom intentions let invoke directly", `service_prefix "" { policy = "read" intentions = "read" }`, false},
		{ask("node", nobody, "read"), "serve: telling gateways from sidecars", `node_prefix "" { policy = "read" }`, false},
		{ask("service", nobody, "write"), "registrator: services and their entries", `service_prefix "" { policy = "write" }`, false},
		{ask("node", node, "write"), "registrator: making and reading its node", fmt.Sprintf(`node %q { policy = "write" }`, node), false},
		{ask("key", "lambdamesh/registrator", "write"), lock, `key_prefix "lambdamesh/" { policy = "write" }`, false},
		{ask("session", nobody, "write"), lock, `session_prefix "" { policy = "write" }`, false},
		{ask("mesh", "", "write"), "registrator: --terminating-gateway, --export-to", `mesh = "write"`, false},
	}
}

// checkRights asks Consul about each right.
func (c Consul) checkRights(ctx context.Context, r *Report) {
	asked := rights(c.NodeName)
	var questions []consul.Right
	for _, one := range asked {
		questions = append(questions, one.Right)
	}
	var allowed []bool
	err := r.ask(ctx, func(ctx context.Context) (err error) {
		allowed, err = c.Client.Authorize(ctx, questions)
		return err
	})
	if err != nil {
		r.add("consul rights", Warn, err.Error(), "compare the token's policy with docs/registrator.md by eye")
		return
	}
	for i, one := range asked {
		check := "consul right " + one.Resource + ":" + one.Access
		verdict, next := Warn, "where that is wanted, add to the token's policy: "
		if one.required {
			verdict, next = Fail, "add to the token's policy: "
		}
		if allowed[i] {
			r.add(check, OK, one.what, "")
			continue
		}
		f := r.add(check, verdict, "missing, for "+one.what, next+one.rule)
		f.Rule, f.policy = one.rule, consulPolicy
	}
}
