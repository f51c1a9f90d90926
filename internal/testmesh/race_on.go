//go:build race

package testmesh

// raceEnabled says that this program was built with the race detector, and so is the
// lambdamesh that it builds.
const raceEnabled = true
