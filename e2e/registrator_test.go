package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/hashicorp/consul/api"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// alphaPrefix stands on two tags of the document's example.
const alphaPrefix = "serverless.consul.hashicorp.com/alpha/lambda/"

// TestTagsAreAllThereIsToDo: tag a function, and every proxy that may reach it
// calls it; take the tag away, and it is gone. Nobody touches a proxy.
func TestTagsAreAllThereIsToDo(t *testing.T) {
	t.Parallel()
	s := begin(t, testmesh.MeshConfig{})
	s.allow("web", "hello", "hello-blue", "late", "example")
	s.gateway("gateway", "*")
	web := s.sidecar("web", "hello", "hello-blue", "late", "example")

	hello := s.function("hello", "hello", testmesh.EnabledTags("aliases", "blue"), "blue")
	s.until(web, "hello", hello)
	s.answers(web, "hello-blue", testmesh.Request{}, 200)
	_, err := s.AWS.Invoke.WaitFor(s.ctx, invocationOf(hello+":blue"))
	s.must(err)

	s.run("tagged later, untagged again", func(t *testing.T) {
		late := s.function("late", "hello", nil)
		s.unreachable(web, "late")
		s.must(s.AWS.Tag(s.ctx, late, testmesh.EnabledTags()))
		s.until(web, "late", late)
		s.must(s.AWS.Untag(s.ctx, late, testmesh.MetaPrefix+"enabled"))
		s.unreachable(web, "late")
		s.must(testmesh.Poll(s.ctx, func(context.Context) error {
			services, _, err := s.Consul.API().Catalog().Service("late", "", nil)
			if err == nil && len(services) > 0 {
				err = errors.New("late is still in the catalog")
			}
			return err
		}))
		s.until(web, "hello", hello)
	})
	s.run("rules and dashboard know the metrics", s.monitored)
	s.run("both prefixes of the document's example", func(t *testing.T) {
		s.function("example", "echo", map[string]string{
			testmesh.MetaPrefix + "enabled":     "true",
			alphaPrefix + "payload-passthrough": "true",
			alphaPrefix + "invocation-mode":     "ASYNCHRONOUS",
		})
		s.answers(web, "example", testmesh.Request{Method: "POST", Body: `{"n":1}`}, 202)
		call, err := s.AWS.Invoke.WaitFor(s.ctx, func(c call) bool { return string(c.Body) == `{"n":1}` })
		s.must(err)
		if got := call.Header.Get("X-Amz-Invocation-Type"); got != "Event" {
			t.Errorf("invoked as %q", got)
		}
	})
	s.run("drift is repaired", func(t *testing.T) {
		meta := func() map[string]string {
			entry, _, err := s.Consul.API().ConfigEntries().Get(api.ServiceDefaults, "hello", nil)
			if err != nil {
				return nil
			}
			return entry.GetMeta()
		}
		repaired := func() {
			t.Helper()
			s.must(testmesh.Poll(s.ctx, func(context.Context) error {
				if m := meta(); m[testmesh.MetaPrefix+"arn"] != hello || m[testmesh.MetaPrefix+"enabled"] != "true" {
					return fmt.Errorf("the Meta of hello is %v", m)
				}
				services, _, err := s.Consul.API().Catalog().Service("hello", "", nil)
				if err == nil && len(services) != 1 {
					err = fmt.Errorf("the catalog has hello %d times", len(services))
				}
				return err
			}))
			s.until(web, "hello", hello)
		}
		for key, value := range map[string]string{testmesh.MetaPrefix + "arn": hello + ":wrong", testmesh.MetaPrefix + "enabled": "false"} {
			entry, _, err := s.Consul.API().ConfigEntries().Get(api.ServiceDefaults, "hello", nil)
			s.must(err)
			entry.GetMeta()[key] = value
			s.must(s.Consul.SetEntry(s.ctx, entry))
			repaired()
		}
		s.must(s.Consul.DeleteEntry(s.ctx, api.ServiceDefaults, "hello"))
		repaired()
		s.must(s.Consul.DeregisterLambda(s.ctx, "hello"))
		repaired()
	})
	s.run("a plan of nothing, and nothing written", func(t *testing.T) {
		s.settled()
		out, err := s.Lambdamesh.Run(s.ctx, "sync", "--dry-run", "-o", "json")
		s.must(err)
		var plan struct {
			Changes []any `json:"changes"`
		}
		s.must(json.Unmarshal([]byte(out), &plan))
		if plan.Changes == nil || len(plan.Changes) != 0 {
			t.Errorf("the plan is %s", out)
		}
		before := s.indexes()
		_, err = s.Lambdamesh.Run(s.ctx, "sync")
		s.must(err)
		if after := s.indexes(); after != before {
			t.Errorf("a sync that had nothing to do wrote: %v, then %v", before, after)
		}
	})
	s.signed()
}

// TestForeignThingsStay: what somebody else made is left alone and reported, and a
// listing that fails on its second page deletes nothing.
func TestForeignThingsStay(t *testing.T) {
	t.Parallel()
	s := begin(t, testmesh.MeshConfig{NoRegistrator: true})
	s.AWS.Front.SetPageSize(2)
	for i := range 5 {
		s.function(fmt.Sprintf("fn-%d", i), "hello", testmesh.EnabledTags())
	}
	s.function("theirs", "hello", testmesh.EnabledTags())
	s.function("their-entry", "hello", testmesh.EnabledTags())
	_, err := s.Consul.API().Catalog().Register(&api.CatalogRegistration{
		Node: "other", Address: "127.0.0.1", Service: &api.AgentService{Service: "theirs", Address: "127.0.0.1", Port: 1},
	}, nil)
	s.must(err)
	entry := &api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: "their-entry", Protocol: "grpc", Meta: map[string]string{"owner": "them"}}
	s.must(s.Consul.SetEntry(s.ctx, entry))

	sync := func() (plan, error) {
		out, err := s.Lambdamesh.Run(s.ctx, "sync", "-o", "json")
		var p plan
		if err == nil {
			err = json.Unmarshal([]byte(out), &p)
		}
		return p, err
	}
	p, err := sync()
	s.must(err)
	for i := range 5 {
		if got := p.kind(fmt.Sprintf("fn-%d", i)); got != "create" {
			t.Errorf("fn-%d: %q", i, got)
		}
	}
	for _, name := range []string{"theirs", "their-entry"} {
		if got := p.kind(name); got != "conflict" {
			t.Errorf("%s: %q, want a conflict", name, got)
		}
	}
	kept, _, err := s.Consul.API().ConfigEntries().Get(api.ServiceDefaults, "their-entry", nil)
	s.must(err)
	if e := kept.(*api.ServiceConfigEntry); e.Protocol != "grpc" || len(e.Meta) != 1 {
		t.Errorf("the entry of others is now %+v", e)
	}

	before := len(s.AWS.Front.Requests())
	remove := s.AWS.Front.Fail(testmesh.Fault{Operation: "GetResources", Page: 2, Status: http.StatusInternalServerError, Code: "InternalServiceException"})
	if _, err := sync(); err == nil {
		t.Error("a listing that failed on page two was taken for whole")
	}
	if asked := s.pages(before); asked < 2 {
		t.Errorf("page two was never asked for: %d pages", asked)
	}
	remove()
	for i := range 5 {
		services, _, err := s.Consul.API().Catalog().Service(fmt.Sprintf("fn-%d", i), "", nil)
		s.must(err)
		if len(services) != 1 {
			t.Errorf("fn-%d is gone", i)
		}
	}
	p, err = sync()
	s.must(err)
	for i := range 5 {
		if got := p.kind(fmt.Sprintf("fn-%d", i)); got != "" {
			t.Errorf("a second sync wants to %s fn-%d", got, i)
		}
	}
}

// plan is what sync -o json prints.
type plan struct {
	Changes []struct{ Kind, Service, Reason string } `json:"changes"`
	Skipped []struct{ Function, Reason string }      `json:"skipped"`
}

func (p plan) kind(service string) string {
	for _, c := range p.Changes {
		if c.Service == service {
			return c.Kind
		}
	}
	return ""
}

// pages is the highest page of GetResources that was asked for since a request.
func (s *story) pages(since int) (highest int) {
	for _, r := range s.AWS.Front.Requests()[since:] {
		if r.Operation == "GetResources" {
			highest = max(highest, r.Page)
		}
	}
	return highest
}

// settled waits until a sync of the embedded registrator found nothing to do.
func (s *story) settled() {
	s.t.Helper()
	s.must(testmesh.Poll(s.ctx, func(ctx context.Context) error {
		out, err := s.Lambdamesh.Run(ctx, "sync", "--dry-run", "-o", "json")
		if err != nil {
			return err
		}
		var p plan
		if err := json.Unmarshal([]byte(out), &p); err != nil {
			return err
		}
		if len(p.Changes) > 0 {
			return fmt.Errorf("still to do: %v", p.Changes)
		}
		return nil
	}))
}

// indexes are those of the last write to entries and to the node's services.
func (s *story) indexes() string {
	s.t.Helper()
	_, entries, err := s.Consul.API().ConfigEntries().List(api.ServiceDefaults, nil)
	s.must(err)
	node, _, err := s.Consul.API().Catalog().Node("lambdas", nil)
	s.must(err)
	highest := uint64(0)
	for _, service := range node.Services {
		highest = max(highest, service.ModifyIndex)
	}
	return fmt.Sprint(entries.LastIndex, highest)
}
