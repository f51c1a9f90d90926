package parts

import (
	"fmt"
	"time"
)

// The pinned versions.
const (
	ConsulVersion    = "1.22.5"
	EnvoyVersion     = "1.40.0"
	MinistackVersion = "1.5.33"
	TerraformVersion = "1.15.5"
	CheckovVersion   = "3.3.30"
)

// Part is a program ready to be run.
type Part struct {
	Name    string // "consul", "envoy", "ministack", "terraform" or "checkov"
	Path    string // absolute
	Version string // the pinned one; "" if an environment variable named the file

	// Origin says which file was taken and why, for people: "CONSUL_BIN", "PATH"
	// or "cache".
	Origin string
}

// String is one line for people: name, version, file and why that file.
func (p Part) String() string {
	if p.Version == "" {
		return fmt.Sprintf("%s: %s (from %s)", p.Name, p.Path, p.Origin)
	}
	return fmt.Sprintf("%s %s: %s (from %s)", p.Name, p.Version, p.Path, p.Origin)
}

// OlderEnvoys are further versions of Envoy, which some tests run as well: the oldest
// that the wheel exists of, and one between.
var OlderEnvoys = []string{"1.36.2", "1.38.3"}

// OldestTerraform is a version of the oldest minor release that the modules of
// deploy/terraform allow.
const OldestTerraform = "1.9.8"

// recipe is how one part is recognised and made.
type recipe struct {
	name     string
	version  string
	override string // environment variable naming a file to use instead; may be ""

	// versionArgs make the program print its version, and versionWant is a string
	// that this output holds at the pinned version. Empty: the program cannot tell,
	// so one on PATH is never taken.
	versionArgs []string
	versionWant string

	// stamp changes whenever the fetched files would, beyond the version: the
	// requirements of a venv. It is kept in the marker file.
	stamp string

	// binary is the program's path inside the part's folder; it may be a glob, as
	// a venv's folder bears Python's version.
	binary string

	// usual is what a first fetch takes on two cores, said at its start.
	usual string

	// fetch fills dir, which exists and is empty, and is the part's final place: a
	// venv cannot be moved.
	fetch func(r *runner, dir string) error
}

// progressEvery is how often a long step says that it is still going on.
const progressEvery = 15 * time.Second
