package xds

import "strings"

// patchMark stands between Consul's version of a resource and the hash of what
// lambdamesh made of it: CONSUL'S+lm1.HASH. So a version tells, also after a
// restart and to another replica, whose form a resource has.
const patchMark = "+lm1."

// patchedVersion is the version of a patched resource, of which hash is the form's.
// It changes exactly when Consul's resource or the patched one does.
func patchedVersion(consuls, hash string) string { return consuls + patchMark + hash }

// patchHash is the part of a version of ours that says what the patched resource is;
// empty for Consul's own.
func patchHash(version string) string {
	_, hash, _ := strings.Cut(version, patchMark)
	return hash
}

// isPatched reports whether a version is one of ours.
func isPatched(version string) bool { return strings.Contains(version, patchMark) }

// consulsVersion is the version of Consul's resource that one of ours was made from; of
// Consul's own, itself.
func consulsVersion(version string) string {
	consuls, _, _ := strings.Cut(version, patchMark)
	return consuls
}
