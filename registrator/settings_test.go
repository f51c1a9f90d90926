package registrator_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lambdamesh/lambdamesh/lambda"
	. "github.com/lambdamesh/lambdamesh/registrator"
)

// The regions and the interval of one that runs: a region that comes is read at once,
// what one had that goes stays, and the lock is that of the new ones.
func testSettingsOfOneThatRuns(t *testing.T, m *mesh) {
	far, err := lambda.ParseARN("arn:aws:lambda:eu-west-1:" + m.aws.Account + ":function:far")
	if err != nil {
		t.Fatal(err)
	}
	m.aws.PutAt(far, FakeFunction{Tags: Enabled()})
	m.aws.Put("near", Enabled())
	r := m.registrator(func(c *Config) { c.SyncInterval = time.Hour })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	there := func(name string) func() error {
		return func() error {
			if len(m.services(name)) != 1 {
				return fmt.Errorf("%s is not there", name)
			}
			return nil
		}
	}
	locks := func() []string {
		keys, _, err := m.consul.KV().Keys("lambdamesh/", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		var held []string
		for _, key := range keys {
			if pair, _, err := m.consul.KV().Get(key, nil); err == nil && pair != nil && pair.Session != "" {
				held = append(held, string(pair.Value))
			}
		}
		return held
	}
	eventually(t, there("near"))
	if got := locks(); !slices.Equal(got, []string{m.aws.Account + "/us-east-1"}) {
		t.Errorf("locks %v", got)
	}

	both := m.aws.Load(t, AWSOptions{Rate: 1000, Regions: []string{"us-east-1", "eu-west-1"}})
	for _, bad := range []Settings{{SyncInterval: -time.Second}, {Regions: []Region{both[0], both[0]}}, {Regions: []Region{}}} {
		if r.Set(bad) == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
	if err := r.Set(Settings{Regions: both}); err != nil {
		t.Fatal(err)
	}
	eventually(t, there("far"))
	eventually(t, func() error {
		if got := locks(); len(got) != 1 || !strings.Contains(got[0], "eu-west-1") {
			return fmt.Errorf("locks %v", got)
		}
		return nil
	})

	before := r.Status().LastRun
	if err := r.Set(Settings{Regions: both[:1]}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		if !r.Status().LastRun.After(before) {
			return errors.New("no run")
		}
		return nil
	})
	if err := there("far")(); err != nil {
		t.Error("what is not read any more: ", err)
	}

	m.aws.Delete("near")
	if err := r.Set(Settings{SyncInterval: 10 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		if len(m.services("near")) > 0 {
			return errors.New("near is still there")
		}
		return nil
	})
}
