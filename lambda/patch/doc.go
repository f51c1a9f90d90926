// Package patch turns Consul's cluster of a service into the invocation of a
// Lambda function: address, TLS, signing and ARN all stand in that one cluster.
//
// It is pure: no gRPC, no Consul, no clock, no log. It knows Envoy's protos and
// package lambda, and speaks to its caller in plain values.
//
// What becomes of a cluster, by the kind of proxy that gets it:
//
//	terminating gateway   a DNS cluster with an empty address: the invocation if its service is a Lambda
//	                      service in state ok, else the same cluster without endpoints. Consul sends such a
//	                      cluster for a service registered without an address, and Envoy would reject it,
//	                      and the whole gateway's update with it.
//	                      One that Consul's own Lambda extension made: the same (see onExtended)
//	connect-proxy,        an EDS cluster of a Lambda service in state ok: the invocation, if Consul lists no
//	api-gateway,          endpoint for it, no terminating gateway fronts it, and it is the proxy's own
//	ingress-gateway       datacenter's; without endpoints, if intentions do not let the proxy's service call it
//	                      (a member of a failover's aggregate cluster passes as it came, and is reported)
//	                      A sidecar's that Consul's own Lambda extension made: the invocation under the same
//	                      conditions, else without endpoints
//	mesh-gateway          nothing
//	unknown               as for a terminating gateway; as for a sidecar if the EDS cluster has a client
//	                      certificate and the stream has carried local_app
package patch
