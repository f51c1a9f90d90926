package main

import (
	"path/filepath"
	"strings"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// part names one of the programs for people.
type part string

// The programs.
const (
	partConsul     part = "Consul"
	partAWS        part = "the AWS emulator"
	partLambdamesh part = "lambdamesh"
	partGateway    part = "the gateway's Envoy"
	partSidecar    part = "the sidecar's Envoy"
)

// tailLines is how much of a log a failure shows.
const tailLines = 12

// tellFailure says which step and which part failed, and shows the part's last log
// lines: of those that have died, else of those that the step is about.
func (d *demo) tellFailure(s step, err error) {
	d.say.plain("\n%s", d.say.paint("1;31", "FAILED: "+s.title))
	d.say.line("%v", err)
	if d.mesh == nil || strings.Contains(err.Error(), "last lines of its log") {
		return // the error names the part and holds its log
	}
	running := d.processes()
	var guilty []part
	for name, p := range running {
		if !p.Running() {
			guilty = append(guilty, name)
		}
	}
	for _, name := range guilty {
		d.say.line("\n%s has ended by itself. Last lines of its log:", name)
		d.tail(running[name])
	}
	if len(guilty) == 0 {
		for _, name := range s.parts {
			if p := running[name]; p != nil {
				d.say.line("\nLast lines of the log of %s, which runs:", name)
				d.tail(p)
			}
		}
	}
	if !d.keep {
		d.say.plain("\nThe whole logs: run it with -keep (go run ./e2e/demo -keep).")
	}
}

func (d *demo) tail(p *testmesh.Process) {
	for line := range strings.Lines(p.Tail(tailLines)) {
		d.say.line("  | %s", line)
	}
}

// processes are the programs that were started and should run, by their names for people.
func (d *demo) processes() map[part]*testmesh.Process {
	names := map[string]part{
		"ministack.log": partAWS, "consul-" + d.mesh.Consul.NodeName() + ".log": partConsul, "lambdamesh.log": partLambdamesh,
		"envoy-" + gatewayName + ".log": partGateway, "envoy-" + caller + "-sidecar-proxy.log": partSidecar,
	}
	if d.gatewayRemoved {
		delete(names, "envoy-"+gatewayName+".log")
	}
	found := map[part]*testmesh.Process{}
	for _, p := range d.mesh.Processes() {
		if name, ok := names[filepath.Base(p.LogPath())]; ok {
			found[name] = p
		}
	}
	return found
}
