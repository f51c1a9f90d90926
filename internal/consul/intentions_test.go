package consul_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/consul/api"
	"github.com/lambdamesh/lambdamesh/internal/consul"
	"github.com/lambdamesh/lambdamesh/lambda"
)

func intentions(destination string, sources ...*api.SourceIntention) *api.ServiceIntentionsConfigEntry {
	return &api.ServiceIntentionsConfigEntry{Kind: api.ServiceIntentions, Name: destination, Sources: sources}
}

func from(source string, action api.IntentionAction) *api.SourceIntention {
	return &api.SourceIntention{Name: source, Action: action}
}

func byPath(source string) *api.SourceIntention {
	return &api.SourceIntention{Name: source, Permissions: []*api.IntentionPermission{
		{Action: api.IntentionActionAllow, HTTP: &api.IntentionHTTPPermission{PathPrefix: "/"}},
	}}
}

// Whatever is written, the Table says of each pair what Consul's own check says.
func TestIntentionsAgreeWithConsul(t *testing.T) {
	const allow, deny = api.IntentionActionAllow, api.IntentionActionDeny
	ctx := within(t)
	write(ctx, t, defaults("fn", "true"), defaults("other", "true"), &api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: "plain", Protocol: "http"})
	w := watch(t, tokenWith(ctx, t, consul.ServiceRule))
	until(ctx, t, "the first Table comes", func() bool { return w.state("fn") != "" && w.state("other") != "" })
	for _, entries := range [][]api.ConfigEntry{
		nil,
		{intentions("fn", from("web", allow))},
		{intentions("fn", from("web", deny), from("*", allow))},
		{intentions("fn", from("*", deny)), intentions("*", from("web", allow))},
		{intentions("*", from("web", deny), from("*", allow))},
		{intentions("*", from("*", deny)), intentions("other", from("*", allow), from("api", deny))},
		{intentions("fn", byPath("web"), from("api", allow)), intentions("*", from("*", allow))},
		{intentions("fn", byPath("*")), intentions("*", from("web", allow))},
		{intentions("fn", from("Web", allow)), intentions("plain", from("*", allow))},
		{intentions("FN", from("web", allow))},
		{intentions("fn", &api.SourceIntention{Name: "web", Peer: "east", Action: allow}, from("api", allow))},
	} {
		must(t, server.SetEntry(ctx, entries...))
		for _, source := range []string{"web", "Web", "api"} {
			for _, destination := range []string{"fn", "other"} {
				want, _, err := server.API().Connect().IntentionCheck(
					&api.IntentionCheck{Source: source, Destination: destination}, (&api.QueryOptions{}).WithContext(ctx))
				must(t, err)
				until(ctx, t, fmt.Sprintf("%s calls %s is %t with %+v", source, destination, want, entries), func() bool {
					return w.last().Intentions().Allow(lambda.ParseServiceName(source), lambda.ParseServiceName(destination)) == want
				})
			}
		}
		for _, e := range entries {
			must(t, server.DeleteEntry(ctx, e.GetKind(), e.GetName()))
		}
		until(ctx, t, "all are gone again", func() bool {
			return !w.last().Intentions().Allow(lambda.ParseServiceName("web"), lambda.ParseServiceName("fn")) &&
				!w.last().Intentions().Allow(lambda.ParseServiceName("api"), lambda.ParseServiceName("other"))
		})
	}
}

// What gateways alone can judge: to Consul's check, a demand for a token is none.
func TestIntentionsThatDemandATokenDeny(t *testing.T) {
	web, fn := lambda.ParseServiceName("web"), lambda.ParseServiceName("fn")
	build := func(e *api.ServiceIntentionsConfigEntry) *lambda.Intentions {
		return consul.BuildTable(consul.Entries{
			Services:   []*api.ServiceConfigEntry{{Name: "fn", Protocol: "http", Meta: good()}},
			Intentions: &consul.IntentionEntries{Entries: []*api.ServiceIntentionsConfigEntry{e}},
		}, nil).Intentions()
	}
	entry := intentions("fn", from("web", api.IntentionActionAllow))
	if !build(entry).Allow(web, fn) {
		t.Error("an allowed call is denied")
	}
	entry.JWT = &api.IntentionJWTRequirement{Providers: []*api.IntentionJWTProvider{{Name: "okta"}}}
	if build(entry).Allow(web, fn) {
		t.Error("a call that needs a token is allowed")
	}
	entry.JWT = nil
	entry.Sources[0].SamenessGroup = "group"
	if build(entry).Allow(web, fn) {
		t.Error("whoever is of a sameness group is allowed")
	}
}

// Consul says what holds by default, but not where an intention is about all.
func TestIntentionsByDefault(t *testing.T) {
	web, fn, apart := lambda.ParseServiceName("web"), lambda.ParseServiceName("fn"), lambda.ParseServiceName("default/apart/fn")
	for name, test := range map[string]struct {
		entry  *api.ServiceIntentionsConfigEntry
		fn     bool
		inAnNS bool
	}{
		"none is about all": {intentions("other", from("*", api.IntentionActionDeny)), true, true},
		"one is":            {intentions("*", from("*", api.IntentionActionAllow)), true, false},
	} {
		got := consul.BuildTable(consul.Entries{
			Services:   []*api.ServiceConfigEntry{{Name: "fn", Protocol: "http", Meta: good()}},
			Intentions: &consul.IntentionEntries{ByDefault: true, Entries: []*api.ServiceIntentionsConfigEntry{test.entry}},
		}, nil).Intentions()
		if got.Allow(web, fn) != test.fn || got.Allow(web, apart) != test.inAnNS {
			t.Errorf("%s: %t, in a namespace %t", name, got.Allow(web, fn), got.Allow(web, apart))
		}
	}
}

// A token that may not read intentions gives Tables all the same, which say that
// nobody may call directly; it is said once. With the right, they tell.
func TestIntentionsWithheld(t *testing.T) {
	ctx := within(t)
	token, err := server.Token(ctx, "test", `service_prefix "" { policy = "read" intentions = "deny" }`)
	must(t, err)
	// No intention yet, so none that the answer could lack.
	write(ctx, t, defaults("fn", "true"))
	var mu sync.Mutex
	var log bytes.Buffer
	var tables []*lambda.Table
	w := consul.NewWatcher(consul.WatcherConfig{
		Client: clientWith(t, token.SecretID), Intentions: true,
		Log: slog.New(slog.NewTextHandler(&locked{mu: &mu, Buffer: &log}, nil)),
		OnTable: func(table *lambda.Table) {
			mu.Lock()
			defer mu.Unlock()
			tables = append(tables, table)
		},
	})
	watching, cancel := context.WithCancel(ctx)
	ended := make(chan error)
	go func() { ended <- w.Run(watching) }()
	defer func() { cancel(); must(t, <-ended) }()
	last := func() *lambda.Table {
		mu.Lock()
		defer mu.Unlock()
		if len(tables) == 0 {
			return nil
		}
		return tables[len(tables)-1]
	}
	until(ctx, t, "a Table comes", func() bool { return last().Len() > 0 })
	write(ctx, t, defaults("fn2", "true"), intentions("fn", from("web", api.IntentionActionAllow)))
	until(ctx, t, "another comes", func() bool { return last().Len() > 1 })
	if last().Intentions() != nil || w.Status().Problem != "" {
		t.Errorf("intentions %v, problem %q", last().Intentions(), w.Status().Problem)
	}
	mu.Lock()
	said := log.String()
	mu.Unlock()
	if strings.Count(said, "never invoked directly") != 1 {
		t.Errorf("the log says:\n%s", said)
	}
	must(t, server.SetRules(ctx, token, consul.ServiceRule))
	until(ctx, t, "intentions are known", func() bool {
		return last().Intentions().Allow(lambda.ParseServiceName("web"), lambda.ParseServiceName("fn"))
	})
	// Once known, they stay when the right is lost.
	must(t, server.SetRules(ctx, token, `service_prefix "" { policy = "read" intentions = "deny" }`))
	write(ctx, t, intentions("fn2", from("web", api.IntentionActionAllow)))
	until(ctx, t, "the loss shows", func() bool { return strings.Contains(w.Status().Problem, "ACLs") })
	if !last().Intentions().Allow(lambda.ParseServiceName("web"), lambda.ParseServiceName("fn")) {
		t.Error("what was known is forgotten")
	}
}

// locked is a Writer for several goroutines.
type locked struct {
	mu *sync.Mutex
	*bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(p)
}
