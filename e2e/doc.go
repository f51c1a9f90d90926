// Package e2e holds the stories of the people who run a mesh, told on a real
// Consul, real Envoys and an emulated AWS that runs functions and checks
// signatures. One file is one story.
package e2e
