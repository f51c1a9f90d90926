// Package testmesh is the harness: it starts the real parts that lambdamesh lives
// among, and lambdamesh itself, on loopback and free ports, and ends them without a
// trace. The end-to-end tests and the demo stand on it, so nothing in it but the
// file testing.go knows the package testing.
//
// The real parts are Consul (Consul), Envoy (Envoy), ministack as AWS (AWS) and
// lambdamesh (Lambdamesh). Two things of our own stand in front of ministack for
// what it cannot do: sigv4proxy.Proxy, which checks signatures, and AWSFront, which
// cuts listings into pages and injects faults. Mesh puts all of them together and
// adds gateways and sidecars.
//
// Conventions, the same in every part:
//
//   - Start returns when the part answers on a real endpoint, or an error that holds
//     the last lines of its log. The context bounds the start alone.
//   - A zero config is useful. Ports come from a Ports, files go below Dir.
//   - Stop ends the part politely, then by force, and returns when it is gone; it may
//     be called twice. Kill does so at once. Restart and Start again use the same ports.
//   - Everything started dies with this process, even if that is killed (see Process).
//   - Waiting is done by polling a real answer until the context ends, never by sleeping
//     a fixed time.
package testmesh
