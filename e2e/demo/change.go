package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

func (d *demo) tagTwo(ctx context.Context) error {
	got, err := d.web.Call(ctx, two, requestTwo)
	if err != nil {
		return err
	}
	if got.Status == http.StatusOK {
		return errors.New("echo answers before it is tagged")
	}
	d.say.line("Before: a call for echo is answered %d, as there is no such service yet.", got.Status)
	untouched, err := d.watchEnvoys(ctx)
	if err != nil {
		return err
	}
	tags := testmesh.EnabledTags("payload-passthrough", "true")
	if err := d.mesh.AWS.Tag(ctx, d.arns[two], tags); err != nil {
		return err
	}
	began := time.Now()
	d.say.command("aws lambda tag-resource --tags ... --resource \\\n    %s", d.arns[two])
	d.say.line("The tags: enabled = true, and payload-passthrough = true, by which the function\ngets the body alone, without a description of the request around it.")
	if _, err := d.web.WaitStatus(ctx, two, requestTwo, http.StatusOK); err != nil {
		return err
	}
	d.say.good("echo can be called, %s later: the registrator looks every %s.", seconds(time.Since(began)), humanInterval())
	if err := d.show(ctx, two, requestTwo, http.StatusOK); err != nil {
		return err
	}
	return untouched(ctx)
}

func (d *demo) untagTwo(ctx context.Context) error {
	if err := d.mesh.AWS.Untag(ctx, d.arns[two], enabledTag); err != nil {
		return err
	}
	began := time.Now()
	d.say.command("aws lambda untag-resource --tag-keys ... --resource \\\n    %s", d.arns[two])
	if err := d.waitListed(ctx, two, false); err != nil {
		return err
	}
	took := time.Since(began)
	if err := d.waitListed(ctx, one, true); err != nil {
		return err
	}
	d.say.good("echo is no service in Consul any more, %s later; hello still is.", seconds(took))
	if _, err := d.web.WaitStatus(ctx, two, requestTwo, http.StatusServiceUnavailable); err != nil {
		return err
	}
	return d.show(ctx, two, requestTwo, http.StatusServiceUnavailable)
}

func (d *demo) dryRun(ctx context.Context) error {
	d.say.command("lambdamesh sync --dry-run")
	plan, err := d.mesh.Lambdamesh.Run(ctx, "sync", "--dry-run")
	if err != nil {
		return err
	}
	d.say.good("%s", plan)
	if !strings.HasPrefix(plan, "Nothing to change.") {
		return errors.New("the plan should be empty: AWS and Consul agree")
	}
	d.say.line("AWS and Consul agree. With a difference, this prints what a sync would do.")
	return nil
}

func (d *demo) goDirect(ctx context.Context) error {
	known := len(d.mesh.AWS.Invoke.Calls())
	d.gatewayRemoved = true
	began := time.Now()
	if err := d.runConsul(ctx, "config", "delete", "-kind", "terminating-gateway", "-name", gatewayName); err != nil {
		return err
	}
	if err := d.gateway.Remove(ctx); err != nil {
		return err
	}
	d.say.line("That was its list of services. The gateway is deregistered, too, and its Envoy\n(process %d) is stopped.", d.gateway.Envoy.Pid())
	if _, err := d.web.WaitStatus(ctx, one, requestOne, http.StatusOK); err != nil {
		return err
	}
	took := time.Since(began)
	if err := d.show(ctx, one, requestOne, http.StatusOK); err != nil {
		return err
	}
	for _, c := range d.mesh.AWS.Invoke.Calls()[known:] {
		if c.Refused != "" {
			return fmt.Errorf("AWS refused a call of the sidecar: %s", c.Reason)
		}
	}
	d.say.good("The sidecar signs and sends its calls to AWS itself, %s after the removal began.", seconds(took))
	d.say.line("The intention that allows %s to call %s still counts: without it the sidecar would\nnot be given the function.", caller, one)
	return nil
}

func (d *demo) stop(ctx context.Context) error {
	var good int
	for _, c := range d.mesh.AWS.Invoke.Calls() {
		if c.Refused != "" {
			return fmt.Errorf("AWS refused a call: %s", c.Reason)
		}
		good++
	}
	d.say.line("%d calls reached AWS in all, repeated ones included. Each signature was right.", good)
	started := len(d.mesh.Processes())
	if err := d.close(); err != nil {
		return err
	}
	for _, p := range d.mesh.Processes() {
		if p.Running() {
			return fmt.Errorf("process %d still runs", p.Pid())
		}
	}
	d.say.line("%d programs were started. All have ended.", started)
	if d.keep {
		d.say.line("Their files are in %s.", d.dir)
	} else {
		d.say.line("Their files are removed.")
	}
	return nil
}

// waitListed waits until Consul lists a service, or does not.
func (d *demo) waitListed(ctx context.Context, name string, want bool) error {
	return testmesh.Poll(ctx, func(ctx context.Context) error {
		all, _, err := d.mesh.Consul.API().Catalog().Services((&api.QueryOptions{}).WithContext(ctx))
		if err != nil {
			return err
		}
		switch _, listed := all[name]; {
		case listed == want:
			return nil
		case want:
			return fmt.Errorf("Consul does not list %s", name)
		default:
			return fmt.Errorf("Consul still lists %s", name)
		}
	})
}

// watchEnvoys notes how both Envoys stand. The returned function prints that they are
// the same processes which took updates meanwhile.
func (d *demo) watchEnvoys(ctx context.Context) (untouched func(context.Context) error, err error) {
	type watched struct {
		name    string
		envoy   *testmesh.Envoy
		pid     int
		updates int64
	}
	all := []*watched{{name: "gateway", envoy: d.gateway.Envoy}, {name: "sidecar", envoy: d.web.Envoy}}
	for _, w := range all {
		w.pid = w.envoy.Pid()
		if w.updates, err = w.envoy.Updates(ctx); err != nil {
			return nil, err
		}
	}
	return func(ctx context.Context) error {
		d.say.line("Nobody touched a proxy:")
		for _, w := range all {
			updates, err := w.envoy.Updates(ctx)
			if err != nil {
				return err
			}
			rejected, err := w.envoy.Rejected(ctx)
			if err != nil {
				return err
			}
			if w.envoy.Pid() != w.pid || !w.envoy.Running() {
				return fmt.Errorf("the %s's Envoy is not the process that it was", w.name)
			}
			if updates == w.updates || rejected > 0 {
				return fmt.Errorf("the %s's Envoy took %d updates and refused %d", w.name, updates-w.updates, rejected)
			}
			d.say.fact(w.name, "process %d as before; took %s from lambdamesh", w.pid, count(updates-w.updates, "update"))
		}
		return nil
	}, nil
}

func count(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
