package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/lambdamesh/lambdamesh/internal/parts"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// The cast.
const (
	caller       = "web"            // the service that calls
	one          = "hello"          // a function that is tagged from the beginning
	two          = "echo"           // a function that is tagged and untagged in front of the reader
	gatewayName  = "lambda-gateway" // the terminating gateway
	syncInterval = "2s"
)

// Deadlines of a step. A good run needs a few seconds for a step; the rest is for
// machines that do much else.
const (
	stepDeadline  = 60 * time.Second
	partsDeadline = 30 * time.Minute // the first run builds Consul
)

type options struct {
	up   bool // leave it running
	keep bool // keep the files
}

// demo is one run.
type demo struct {
	options
	say *narrator

	dir        string // of every file
	cache      *parts.Cache
	consul     parts.Part
	lambdamesh string // the program
	mesh       *testmesh.Mesh
	gateway    *testmesh.Gateway
	web        *testmesh.Sidecar
	arns       map[string]string // of the functions, by name
	closed     bool

	gatewayRemoved bool // on purpose
}

// step is one headline and what is done under it.
type step struct {
	title    string
	run      func(d *demo, ctx context.Context) error
	deadline time.Duration // default stepDeadline

	// parts are those whose logs tell why it failed, if no part has died.
	parts []part

	ends bool // it stops parts on purpose
	lone bool // left out with -up, as it takes away what one would like to play with
}

func steps() []step {
	return []step{
		{title: "Find the programs", run: (*demo).findPrograms, deadline: partsDeadline},
		{title: "Start Consul and AWS, and create two functions", run: (*demo).startSurroundings, parts: []part{partConsul, partAWS}},
		{title: "Start lambdamesh", run: (*demo).startLambdamesh, parts: []part{partLambdamesh, partConsul}},
		{title: "Start the gateway and the sidecar", run: (*demo).startProxies, parts: []part{partGateway, partSidecar, partLambdamesh}},
		{title: "Call the function hello through the mesh", run: (*demo).callOne, parts: []part{partGateway, partSidecar, partLambdamesh, partAWS}},
		{title: "Deny the call by an intention, and allow it again", run: (*demo).denyAndAllow, parts: []part{partGateway, partConsul}},
		{title: "Tag the function echo, and call it", run: (*demo).tagTwo, parts: []part{partLambdamesh, partGateway}},
		{title: "Untag the function echo, and see it gone", run: (*demo).untagTwo, parts: []part{partLambdamesh, partGateway}, lone: true},
		{title: "Ask what a sync would change", run: (*demo).dryRun, parts: []part{partLambdamesh}, lone: true},
		{title: "Remove the gateway: the sidecar calls AWS itself", run: (*demo).goDirect, parts: []part{partLambdamesh, partSidecar}, ends: true, lone: true},
		{title: "Stop everything", run: (*demo).stop, ends: true, lone: true},
	}
}

func newDemo(o options, say *narrator) *demo {
	return &demo{options: o, say: say, arns: map[string]string{}}
}

// run runs the steps and leaves nothing behind. A failure has been told when it returns.
func (d *demo) run(ctx context.Context) (err error) {
	if d.dir, err = os.MkdirTemp("", "lambdamesh-demo-"); err != nil {
		d.say.plain("demo: making a folder for its files: %v", err)
		return err
	}
	defer func() {
		if closing := d.close(); closing != nil {
			d.say.plain("demo: %v", closing)
			err = cmp.Or(err, closing)
		}
	}()
	d.introduce()
	all := steps()
	if d.up {
		all = withoutLone(all)
	}
	for i, s := range all {
		began := time.Now()
		d.say.headline(i+1, len(all), s.title)
		if err := d.runStep(ctx, s); err != nil {
			if ctx.Err() == nil {
				d.tellFailure(s, err)
			}
			return err
		}
		d.say.done(time.Since(began))
	}
	if d.up {
		if err := d.tellAddresses(); err != nil {
			d.say.plain("demo: %v", err)
			return err
		}
		<-ctx.Done()
		d.say.plain("\nStopping everything.")
		return nil
	}
	d.say.plain("\nThat was all, in %s: everything worked, nothing is left running.", seconds(time.Since(d.say.began)))
	return nil
}

// runStep ends a step at its deadline, and at once if a part dies under it.
func (d *demo) runStep(ctx context.Context, s step) error {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(s.deadline, stepDeadline))
	defer cancel()
	if d.mesh != nil && !s.ends {
		for _, p := range d.processes() {
			stop := background(func(done <-chan struct{}) {
				select {
				case <-p.Exited():
					cancel()
				case <-done:
				}
			})
			defer stop()
		}
	}
	return s.run(d, ctx)
}

func (d *demo) introduce() {
	d.say.plain("%s", introduction)
	if d.keep {
		d.say.plain("Logs and other files stay in %s.", d.dir)
	}
}

const introduction = `
lambdamesh makes AWS Lambda functions callable as services of a Consul mesh.

  your program --> sidecar ======> gateway --> AWS Lambda
                   (Envoy)  mTLS   (Envoy)

  sidecar   the proxy beside a program, through which it calls others
  gateway   the proxy through which the mesh calls what is outside of it
            (Consul calls this kind a terminating gateway)
  mTLS      encrypted, and both ends prove by certificate who they are

Consul configures both Envoys as ever. lambdamesh stands in between and changes
only what concerns functions, so that the gateway signs each call for AWS.

Consul, Envoy and lambdamesh are the real programs. AWS is an emulator, which
really runs the functions. In front of it stands a check of ours: it computes the
signature of each call again and refuses a wrong one, as AWS does.
All of it runs on this machine, needs no account, and is gone at the end.
The time at the right of a headline counts from the start.`

// close ends what runs and removes the files. It may be called twice.
func (d *demo) close() error {
	if d.closed {
		return nil
	}
	d.closed = true
	var errs []error
	if d.mesh != nil {
		errs = append(errs, d.mesh.Close())
	}
	if !d.keep {
		errs = append(errs, os.RemoveAll(d.dir))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("stopping everything: %w", err)
	}
	return nil
}

func withoutLone(all []step) []step {
	var kept []step
	for _, s := range all {
		if !s.lone {
			kept = append(kept, s)
		}
	}
	return kept
}
