package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/lambdamesh/lambdamesh/internal/parts"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// enabledTag is the tag that brings a function into the mesh.
const enabledTag = testmesh.MetaPrefix + "enabled"

func (d *demo) findPrograms(ctx context.Context) (err error) {
	if d.cache, err = parts.Open(d.say); err != nil {
		return err
	}
	for _, one := range []struct {
		find func(context.Context) (parts.Part, error)
		what string
	}{
		{d.cache.Consul, "the control plane of the mesh"},
		{d.cache.Envoy, "the proxy"},
		{d.cache.Ministack, "the AWS emulator"},
	} {
		p, err := one.find(ctx)
		if err != nil {
			return err
		}
		if p.Name == "consul" {
			d.consul = p
		}
		d.say.fact(p.Name, "%s, %s; taken from %s:", cmp.Or(p.Version, "version unknown"), one.what, p.Origin)
		d.say.fact("", "%s", p.Path)
	}
	d.say.fact("lambdamesh", "built now, from the source in this folder:")
	if d.lambdamesh, err = testmesh.BuildLambdamesh(ctx); err != nil {
		return err
	}
	d.say.fact("", "%s", d.lambdamesh)
	return nil
}

func (d *demo) startSurroundings(ctx context.Context) (err error) {
	d.mesh, err = testmesh.StartMesh(ctx, testmesh.MeshConfig{
		Dir: d.dir, Cache: d.cache, LambdameshBin: d.lambdamesh, NoLambdamesh: true, SyncInterval: syncInterval,
	})
	if err != nil {
		return err
	}
	d.say.fact("Consul", "http://%s, with access control: whatever", d.mesh.Consul.HTTPAddr())
	d.say.fact("", "no rule allows is denied")
	d.say.fact("AWS", "%s, to manage functions", d.mesh.AWS.Front.URL())
	d.say.fact("", "%s, to call them: checks signatures", d.mesh.AWS.Invoke.URL())
	for _, f := range []struct {
		name, says string
		tags       map[string]string
	}{
		{one, "tagged", testmesh.EnabledTags()},
		{two, "not tagged yet", nil},
	} {
		file, err := testmesh.FunctionFile(f.name + ".py")
		if err != nil {
			return err
		}
		if d.arns[f.name], err = d.mesh.AWS.CreateFunction(ctx, testmesh.Function{Name: f.name, File: file, Tags: f.tags}); err != nil {
			return err
		}
		d.say.fact(f.name, "a function, %s (testdata/functions/%s.py)", f.says, f.name)
	}
	d.say.line("The tag that brings a function into the mesh is\n  %s = true", enabledTag)
	return nil
}

func (d *demo) startLambdamesh(ctx context.Context) error {
	began := time.Now()
	if err := d.mesh.StartLambdamesh(ctx); err != nil {
		return err
	}
	d.say.command("lambdamesh serve --registrator --sync-interval %s ...", syncInterval)
	d.say.fact("for Envoys", "%s, gives them their configuration", d.mesh.Lambdamesh.XDSAddr())
	d.say.fact("for people", "http://%s, tells health, metrics and state", d.mesh.Lambdamesh.AdminAddr())
	d.say.line("Its registrator reads the functions' tags in AWS and keeps Consul's list of\nservices in step: here every %s, by default every 5 minutes.", humanInterval())
	if err := d.waitListed(ctx, one, true); err != nil {
		return err
	}
	d.say.good("hello is a service in Consul, %s after the start. Nobody registered it.", seconds(time.Since(began)))
	return nil
}

func (d *demo) startProxies(ctx context.Context) (err error) {
	if err := d.mesh.Consul.SetEntry(ctx, testmesh.HTTPByDefault()); err != nil {
		return err
	}
	if d.gateway, err = d.mesh.AddTerminatingGateway(ctx, gatewayName, []string{"*"}, testmesh.ProxyOptions{EnvoyArgs: drainAtOnce}); err != nil {
		return err
	}
	if d.web, err = d.mesh.AddSidecar(ctx, caller, []string{one, two}, testmesh.ProxyOptions{}); err != nil {
		return err
	}
	d.say.line("Both are set up as in any Consul mesh, each with an access token of its own.\nOnly the address of their configuration is lambdamesh's instead of Consul's:")
	d.say.command("consul connect envoy -grpc-addr %s -proxy-id ...", d.mesh.Lambdamesh.XDSAddr())
	d.say.fact("gateway", "process %d, leads to all functions (its list of services is \"*\")", d.gateway.Envoy.Pid())
	d.say.fact("sidecar", "process %d, beside a program called %s, which calls", d.web.Envoy.Pid(), caller)
	for _, name := range []string{one, two} {
		d.say.fact("", "%-5s at %s", name, d.web.URL(name, "/"))
	}
	d.say.line("Who may call whom is said by rules in Consul, called intentions:")
	for _, name := range []string{one, two} {
		if err := d.runConsul(ctx, "intention", "create", "-allow", caller, name); err != nil {
			return err
		}
	}
	return nil
}

// runConsul prints and runs a command of Consul's, with the token that may do all.
func (d *demo) runConsul(ctx context.Context, args ...string) error {
	d.say.command("consul %s", strings.Join(args, " "))
	_, err := d.mesh.Consul.CLI(ctx, d.mesh.Consul.ManagementToken(), args...)
	return err
}

// humanInterval is syncInterval in words.
func humanInterval() string {
	interval, _ := time.ParseDuration(syncInterval)
	return fmt.Sprintf("%.0f seconds", interval.Seconds())
}

// drainAtOnce makes an Envoy close a connection with its next answer once what it was
// accepted under has changed. By default Envoy spreads that over 10 minutes, in which
// a connection that is open may go on without regard to a new intention: measured 16 s
// for a caller with one call at a time.
var drainAtOnce = []string{"--drain-strategy", "immediate"}
