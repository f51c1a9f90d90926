package fakeconsul

import "fmt"

// trustDomain is that of the recorded clusters.
const trustDomain = "11111111-2222-3333-4444-555555555555.consul"

// Service is the name of an ordinary service.
func Service(i int) string { return fmt.Sprintf("service-%05d", i) }

// Function is the name of a service without an address.
func Function(i int) string { return fmt.Sprintf("function-%05d", i) }

// Cluster is the name of a service's cluster: its SNI.
func Cluster(service string) string {
	return service + ".default.dc1.internal." + trustDomain
}
