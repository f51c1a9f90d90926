// Package parts brings the programs that the tests and the demo run beside
// lambdamesh: Consul, Envoy and ministack (an AWS emulator), each at one pinned
// version, and Envoy at some older ones (OlderEnvoys). Terraform and checkov, which
// check deploy/terraform, are brought the same way, but only when asked for by name.
//
// A part is fetched once into the user's cache, $XDG_CACHE_HOME/lambdamesh or
// ~/.cache/lambdamesh, in a folder named by version and platform; nothing is ever
// installed into the system. Where a part comes from, first match wins:
//
//  1. the file that CONSUL_BIN, ENVOY_BIN, MINISTACK_BIN, TERRAFORM_BIN or CHECKOV_BIN
//     names, whatever its version;
//  2. the program of that name on PATH, if its version is exactly the pinned one;
//  3. the cache, which is filled first if need be.
//
// Several processes may ask at once: a lock file per part makes one of them fetch
// while the others wait. An interrupted fetch leaves nothing that looks finished.
package parts
