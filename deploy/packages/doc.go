// Package packages holds what the deb and rpm packages bring beside the programs, and the
// tests of a release (build tag release): "make release-test" builds one and runs them.
package packages
