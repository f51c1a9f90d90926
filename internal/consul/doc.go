// Package consul reads from Consul what lambdamesh decides by: the Table of
// Lambda services, the kinds of proxies, and where Consul's xDS is. It writes
// nothing.
//
// # What the token needs
//
// Measured with Consul 1.22.5, ACLs on and default deny. "filtered" means that
// the answer carries X-Consul-Results-Filtered-By-ACLs.
//
//	read                    right                              without it
//	service-defaults        service:read of each entry's name  the entry is missing, filtered
//	terminating-gateway     service:read of the gateway's name the entry is missing, filtered
//	proxy-defaults          none                               (a deleted token: 403)
//	catalog/node-services   node:read and service:read         empty, filtered
//	agent/service/ID        service:read of its name           403
//	agent/self              agent:read                         403, hence not used
//	agent/version           none
//
// A request without a token is answered by the agent's own default token, if it
// has one, in the same way (and acl/token/self shows that token); else by the
// anonymous token, whose partial and empty answers are NOT marked as filtered
// (and acl/token/self is 403). A deleted token is answered 403 "ACL not found"
// everywhere. A blocking query keeps the rights with which it began, so lost rights
// show at the next one, after a change or readWait. An empty answer is marked only
// if something was withheld. Every answer carries X-Consul-Default-Acl-Policy, "allow" where
// ACLs are off. So the policy that serves all of it is
//
//	service_prefix "" { policy = "read" }
//	node_prefix "" { policy = "read" }
package consul

// The rules of a policy that lets everything here be read.
const (
	ServiceRule = `service_prefix "" { policy = "read" }`
	NodeRule    = `node_prefix "" { policy = "read" }`
)
