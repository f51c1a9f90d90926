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
//	service-intentions      intentions:read of the             the entry is missing, filtered
//	                        destination, which service:read
//	                        gives unless its rule says
//	                        intentions = "deny"
//	intentions/match        as that, of the name asked about   403, whether there are any or not
//	intentions/check        service:read of the destination    403
//	proxy-defaults          none                               (a deleted token: 403)
//	catalog/services with a node:read and service:read         the service is missing, filtered
//	  filter by address
//	catalog/node-services   node:read and service:read         empty, filtered
//	agent/service/ID        service:read of its name           403
//	agent/self              agent:read                         403, hence not used
//	agent/version           none
//	WatchServers (gRPC)     none, but a token Consul knows     Unauthenticated
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
//
// # The servers of the xDS
//
// An Upstream is a pool of Consul's servers. They come from
//
//  1. the configured addresses; a name stands for all its addresses, which are looked
//     up every 30 s, and every 5 s while no server can be used
//  2. Consul's own list, if it is to be watched; the configured ones stay beside it
//
// One is chosen for each stream: connected before being connected before failed, not
// the one to avoid if there is another, the one with the fewest streams. The server of
// a pinned stream is the first configured address's; of a name's addresses the lowest
// for as long as the name has it.
//
// A connection takes 1,000 streams, then the server gets another one. Consul 1.22.5
// allows 2,048 and lets the next stream wait in silence.
//
//	what happens                    when
//	a connection is tried           5 s at most, again after 0.25 to 2.4 s
//	a black hole is noticed         by its streams, 50 s after the last byte at most
//	a stream waits for a server     5 s at most, and only while none is connected
//	                                and one has not failed yet
//	a connection without streams    goes after 5 to 10 s, if it is not its server's first
package consul

// The rules of a policy that lets everything here be read.
const (
	ServiceRule = `service_prefix "" { policy = "read" }`
	NodeRule    = `node_prefix "" { policy = "read" }`
)
