package main

import (
	"fmt"
	"time"

	"github.com/lambdamesh/lambdamesh/internal/admin"
	"github.com/lambdamesh/lambdamesh/registrator"
	"github.com/lambdamesh/lambdamesh/xds"
)

// sources is what the admin server reads of the other parts.
func (s *server) sources() admin.Sources {
	sources := admin.Sources{Unready: s.unready, Table: s.table, Proxies: s.proxies, Resources: s.resources}
	if s.registrator != nil {
		sources.Registrator, sources.Runs = s.registratorState, s.registratorRuns
	}
	return sources
}

// unready: a registrator that fails does not stand in any Envoy's way, and is not
// asked.
func (s *server) unready() string {
	if s.draining.Load() {
		return "draining"
	}
	for _, reason := range []string{s.watcher.Status().Problem, s.tables.unready()} {
		if reason != "" {
			return reason
		}
	}
	if reason := s.upstream.Unready(); reason != "" {
		return "Consul's xDS: " + reason
	}
	return ""
}

func (s *server) table() admin.Table { return admin.Table(s.watcher.Status()) }

func (s *server) proxies() []admin.Proxy {
	var proxies []admin.Proxy
	for _, p := range s.xds.Proxies() {
		proxies = append(proxies, adminProxy(p))
	}
	return proxies
}

func adminProxy(p xds.ProxyState) admin.Proxy {
	proxy := admin.Proxy{
		ID: p.ID, Kind: p.Kind, Connected: true,
		EnvoyVersion: fmt.Sprintf("%d.%d.%d", p.Version.Major, p.Version.Minor, p.Version.Patch),
	}
	for _, one := range p.Patched {
		proxy.Patched = append(proxy.Patched, admin.Patched{
			Service: one.Service, Form: one.Form, Path: one.Path, Cluster: one.Cluster, Reason: one.Reason,
		})
	}
	for _, one := range p.Unpatched {
		proxy.Unpatched = append(proxy.Unpatched, admin.Unpatched{Service: one.Service, Cluster: one.Cluster, Reason: one.Reason})
	}
	for _, one := range p.Rejected {
		proxy.Rejected = append(proxy.Rejected, admin.Rejected{Resource: one.Resource, Error: one.Error, Services: one.Subjects})
	}
	if p.LastRefusal != nil {
		last := admin.Refusal(*p.LastRefusal)
		proxy.LastRefusal = &last
	}
	return proxy
}

func (s *server) registratorState() admin.Registrator {
	status := s.registrator.Status()
	state := admin.Registrator{
		LastRun: orNil(status.LastRun), LastSuccess: orNil(status.LastSuccess), Error: status.Error,
	}
	for _, c := range status.Changes {
		state.Changes = append(state.Changes, adminChange(c))
	}
	return state
}

func adminChange(c registrator.Change) admin.Change {
	return admin.Change{
		Kind: string(c.Kind), Service: c.Service, Reason: c.Reason, Namespace: c.Namespace, Partition: c.Partition, Undone: c.Undone,
	}
}

func (s *server) registratorRuns() admin.Runs {
	status := s.registrator.Status()
	runs := admin.Runs{Running: orNil(status.Running), Standby: status.Standby}
	for _, one := range status.Runs {
		run := admin.Run{
			Kind: string(one.Kind), Ended: one.Ended, TookSeconds: one.Took.Seconds(),
			Functions: one.Functions, Made: one.Made, Error: one.Error,
		}
		for _, c := range one.Changes {
			run.Changes = append(run.Changes, adminChange(c))
		}
		runs.Recent = append(runs.Recent, run)
	}
	for _, one := range status.Latest {
		runs.Latest = append(runs.Latest, admin.Latest{At: one.At, Change: adminChange(one.Change)})
	}
	for _, one := range status.Skipped {
		runs.Skipped = append(runs.Skipped, admin.Skipped{Function: one.Function, Reason: one.Reason, Expected: one.Expected()})
	}
	for _, one := range status.Kept {
		runs.Kept = append(runs.Kept, admin.Kept{
			Service: one.Service, Function: one.Function.String(), By: string(one.By), Reason: one.Reason,
			Namespace: one.Namespace, Partition: one.Partition,
		})
	}
	return runs
}

func orNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
