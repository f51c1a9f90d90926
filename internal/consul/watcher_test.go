package consul_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/lambdamesh/lambdamesh/internal/consul"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
	"github.com/lambdamesh/lambdamesh/lambda"
)

// watching is a Watcher that runs until its test ends.
type watching struct {
	*consul.Watcher

	mu     sync.Mutex
	tables []*lambda.Table // in the order in which they came; guarded by mu
}

func watch(t *testing.T, client *consul.Client) *watching {
	t.Helper()
	w := &watching{}
	w.Watcher = consul.NewWatcher(consul.WatcherConfig{
		Client: client, Intentions: true,
		OnTable: func(table *lambda.Table) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.tables = append(w.tables, table)
		},
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := w.Run(ctx); err != nil {
			t.Errorf("the watcher failed: %v", err)
		}
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return w
}

// count is the number of Tables so far.
func (w *watching) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.tables)
}

// last is the last Table handed out; nil before the first.
func (w *watching) last() *lambda.Table {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.tables) == 0 {
		return nil
	}
	return w.tables[len(w.tables)-1]
}

// until waits for something to be true.
func until(ctx context.Context, t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// service is the state of a service in the last Table; "" if it is not there.
func (w *watching) state(name string) lambda.State {
	if s := w.last().Lookup(lambda.NewServiceName(name, "", "")); s != nil {
		return s.State
	}
	return ""
}

func defaults(name, enabled string) *api.ServiceConfigEntry {
	return testmesh.LambdaDefaults(name, map[string]string{"enabled": enabled, "arn": arn})
}

// write sets entries and takes them away when the test ends.
func write(ctx context.Context, t *testing.T, entries ...api.ConfigEntry) {
	t.Helper()
	must(t, server.SetEntry(ctx, entries...))
	t.Cleanup(func() {
		for _, e := range entries {
			if err := server.DeleteEntry(context.Background(), e.GetKind(), e.GetName()); err != nil {
				t.Error(err)
			}
		}
	})
}

// A service of ordinary instances is no Lambda service, whatever its Meta says, as
// long as it has them.
func TestWatcherSeesInstances(t *testing.T) {
	ctx := within(t)
	may := watch(t, tokenWith(ctx, t, consul.ServiceRule+consul.NodeRule))
	mayNot := watch(t, tokenWith(ctx, t, consul.ServiceRule))
	write(ctx, t, defaults("Busy", "true"), defaults("bare", "true"))
	must(t, server.RegisterLambda(ctx, "bare"))
	must(t, server.RegisterLambda(ctx, "Busy")) // may be registered as both
	until(ctx, t, "both are functions", func() bool { return may.state("busy") == lambda.StateOK && may.state("bare") == lambda.StateOK })
	register := &api.CatalogRegistration{
		Node: "busy-node", Address: "127.0.0.1", Service: &api.AgentService{ID: "busy-1", Service: "busy", Port: 1},
	}
	_, err := server.API().Catalog().Register(register, nil)
	must(t, err)
	until(ctx, t, "one has instances", func() bool { return may.state("busy") == lambda.StateConflict })
	if s := may.last().Lookup(lambda.NewServiceName("busy", "", "")); len(s.Errors) != 1 || !strings.Contains(s.Errors[0], "instances of it with an address") {
		t.Errorf("reasons: %q", s.Errors)
	}
	if got := may.state("bare"); got != lambda.StateOK {
		t.Errorf("bare is %s", got)
	}
	if got := mayNot.state("busy"); got != lambda.StateOK || mayNot.Status().Problem != "" {
		t.Errorf("without the right to see it: %s, %q", got, mayNot.Status().Problem)
	}
	_, err = server.API().Catalog().Deregister(&api.CatalogDeregistration{Node: "busy-node"}, nil)
	must(t, err)
	until(ctx, t, "they are gone", func() bool { return may.state("busy") == lambda.StateOK })
}

func TestWatcherFollows(t *testing.T) {
	ctx := within(t)
	w := watch(t, tokenWith(ctx, t, consul.ServiceRule))
	until(ctx, t, "the first Table comes, empty", func() bool { return w.last() != nil && w.last().Len() == 0 })
	if s := w.Status(); s.Problem != "" || time.Since(s.Confirmed) > time.Minute {
		t.Errorf("status %+v", s)
	}

	write(ctx, t, defaults("follow", "true"))
	until(ctx, t, "the service is there", func() bool { return w.state("follow") == lambda.StateOK })
	must(t, server.SetEntry(ctx, defaults("follow", "false")))
	until(ctx, t, "it is off", func() bool { return w.state("follow") == lambda.StateDisabled })
	must(t, server.SetEntry(ctx, defaults("follow", "perhaps")))
	until(ctx, t, "it is mistaken", func() bool { return w.state("follow") == lambda.StateError })

	bare := defaults("follow", "true")
	bare.Protocol = ""
	must(t, server.SetEntry(ctx, bare))
	until(ctx, t, "its protocol is wrong", func() bool {
		s := w.last().Lookup(lambda.NewServiceName("follow", "", ""))
		return s.State == lambda.StateError && strings.Contains(strings.Join(s.Errors, " "), "means tcp")
	})
	write(ctx, t, &api.ProxyConfigEntry{Kind: api.ProxyDefaults, Name: api.ProxyConfigGlobal, Config: map[string]any{"protocol": "http"}})
	until(ctx, t, "its protocol is right", func() bool { return w.state("follow") == lambda.StateOK })

	write(ctx, t, &api.TerminatingGatewayConfigEntry{Kind: api.TerminatingGateway, Name: "gw", Services: []api.LinkedService{{Name: "*"}}})
	until(ctx, t, "a gateway fronts it", func() bool { return w.last().Lookup(lambda.NewServiceName("follow", "", "")).Fronted })
	must(t, server.DeleteEntry(ctx, api.TerminatingGateway, "gw"))
	until(ctx, t, "none fronts it", func() bool { return !w.last().Lookup(lambda.NewServiceName("follow", "", "")).Fronted })

	must(t, server.DeleteEntry(ctx, api.ServiceDefaults, "follow"))
	until(ctx, t, "it is gone", func() bool { return w.state("follow") == "" })
}

// What is not about Lambda makes no new Table.
func TestWatcherIsSilentAboutOthers(t *testing.T) {
	ctx := within(t)
	w := watch(t, tokenWith(ctx, t, consul.ServiceRule))
	write(ctx, t, defaults("silent", "true"))
	until(ctx, t, "the service is there", func() bool { return w.state("silent") == lambda.StateOK })
	before := w.count()
	write(ctx, t, &api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: "other", Protocol: "http"})
	write(ctx, t, defaults("silent2", "true"))
	until(ctx, t, "the next service is there", func() bool { return w.state("silent2") == lambda.StateOK })
	if got := w.count() - before; got != 1 {
		t.Errorf("%d Tables, want 1", got)
	}
}

// Rule 0: a token that lost rights changes nothing, and says so.
func TestWatcherKeepsTheTableOfATokenThatWasNarrowed(t *testing.T) {
	for name, narrower := range map[string]string{
		"to nothing":       `key "x" { policy = "read" }`,
		"to some services": `service "narrow1" { policy = "read" }`,
	} {
		t.Run(name, func(t *testing.T) {
			ctx := within(t)
			token, err := server.Token(ctx, "narrowed", consul.ServiceRule)
			must(t, err)
			w := watch(t, clientWith(t, token.SecretID))
			write(ctx, t, defaults("narrow1", "true"), defaults("narrow2", "true"))
			until(ctx, t, "both are there", func() bool {
				return w.state("narrow1") == lambda.StateOK && w.state("narrow2") == lambda.StateOK
			})
			must(t, server.SetRules(ctx, token, narrower))
			poke(ctx, t, w, consul.ServiceRule)
			tables := w.count()
			must(t, server.SetEntry(ctx, defaults("narrow1", "false")))
			must(t, server.DeleteEntry(ctx, api.ServiceDefaults, "narrow2"))

			must(t, server.SetRules(ctx, token, consul.ServiceRule))
			until(ctx, t, "the Table follows again", func() bool { return w.Status().Problem == "" })
			if w.state("narrow1") != lambda.StateDisabled || w.state("narrow2") != "" {
				t.Error("the Table after a whole read is not what Consul has")
			}
			// Any read while the token was narrow would have made a Table of its own.
			if got := w.count() - tables; got != 1 {
				t.Errorf("%d Tables since the token was narrowed, want the last one alone", got)
			}
		})
	}
}

// poke changes an entry that is nobody's until the Watcher has a problem that
// says this. A blocking query keeps the rights with which it began; a change ends
// it.
func poke(ctx context.Context, t *testing.T, w *watching, says string) {
	t.Helper()
	entry := &api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: "poke"}
	write(ctx, t, entry)
	for i := 1; !strings.Contains(w.Status().Problem, says); i++ {
		entry.MaxInboundConnections = i
		must(t, server.SetEntry(ctx, entry))
	}
}

func TestWatcherKeepsTheTableOfADeletedToken(t *testing.T) {
	ctx := within(t)
	token, err := server.Token(ctx, "deleted", consul.ServiceRule)
	must(t, err)
	w := watch(t, clientWith(t, token.SecretID))
	write(ctx, t, defaults("kept", "true"))
	until(ctx, t, "it is there", func() bool { return w.state("kept") == lambda.StateOK })
	tables := w.count()
	must(t, server.DeleteToken(ctx, token))
	poke(ctx, t, w, "ACL not found")
	must(t, server.DeleteEntry(ctx, api.ServiceDefaults, "kept"))
	if w.count() != tables || w.state("kept") != lambda.StateOK {
		t.Error("a refused read changed the Table")
	}
}

// The first Table comes of whole reads alone: a token that is too narrow, and
// none, say which rule is missing. The anonymous token's answers are not marked
// as filtered.
func TestWatcherHasNoTableWithoutRights(t *testing.T) {
	ctx := within(t)
	write(ctx, t, defaults("hidden", "true"))
	some, err := server.Token(ctx, "some", `service_prefix "" { policy = "read" } service "other" { policy = "deny" }`)
	must(t, err)
	write(ctx, t, defaults("other", "true"))
	for name, client := range map[string]*consul.Client{
		"no token": clientWith(t, ""), "all but one": clientWith(t, some.SecretID),
	} {
		t.Run(name, func(t *testing.T) {
			ctx := within(t)
			w := watch(t, client)
			until(ctx, t, "it says which rule", func() bool { return strings.Contains(w.Status().Problem, consul.ServiceRule) })
			if w.last() != nil || !w.Status().Confirmed.IsZero() {
				t.Error("a Table of a filtered read")
			}
		})
	}
}

// Without a token of ours the agent's own default token answers, and its answers
// are marked.
func TestWatcherUsesTheAgentsToken(t *testing.T) {
	ctx := within(t)
	write(ctx, t, defaults("agents", "true"))
	whole, err := server.Token(ctx, "agents", consul.ServiceRule)
	must(t, err)
	set := func(token string) error {
		_, err := server.API().Agent().UpdateDefaultACLToken(token, nil)
		return err
	}
	must(t, set(whole.SecretID))
	t.Cleanup(func() {
		if err := set(""); err != nil {
			t.Error(err)
		}
	})
	w := watch(t, clientWith(t, ""))
	until(ctx, t, "it is there", func() bool { return w.state("agents") == lambda.StateOK })
	must(t, server.SetRules(ctx, whole, `service "none" { policy = "read" }`))
	poke(ctx, t, w, consul.ServiceRule)
	if w.state("agents") != lambda.StateOK {
		t.Error("a filtered read changed the Table")
	}
}

func TestWatcherOutlivesConsul(t *testing.T) {
	ctx := within(t)
	w := watch(t, tokenWith(ctx, t, consul.ServiceRule))
	write(ctx, t, defaults("outlives", "true"))
	until(ctx, t, "it is there", func() bool { return w.state("outlives") == lambda.StateOK })
	tables := w.count()
	must(t, server.Stop())
	until(ctx, t, "the problem shows", func() bool { return w.Status().Problem != "" })
	if w.count() != tables {
		t.Error("a lost server changed the Table")
	}
	must(t, server.Start(ctx))
	must(t, server.SetEntry(ctx, defaults("outlives", "false")))
	until(ctx, t, "the Table follows again", func() bool {
		return w.state("outlives") == lambda.StateDisabled && w.Status().Problem == ""
	})
}
