package xds

import (
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	"github.com/prometheus/client_golang/prometheus"
)

// TestFormIsMadeOnce, however many streams want it at once, and again only after
// the last of them has let go of it.
func TestFormIsMadeOnce(t *testing.T) {
	counter := prometheus.NewCounter(prometheus.CounterOpts{Name: "made_total"})
	forms := newForms(counter)
	patch := func(name string) *Patch {
		return &Patch{Key: name, Make: func() Made { return Made{Cluster: &clusterv3.Cluster{Name: name}, Form: "cluster"} }}
	}
	const names, streams = 10, 20
	held := make([][]*form, streams)
	var all sync.WaitGroup
	for i := range streams {
		all.Go(func() {
			for n := range names {
				made, err := forms.of(patch(strconv.Itoa(n)))
				if err != nil {
					t.Error(err)
				}
				held[i] = append(held[i], made)
			}
		})
	}
	all.Wait()
	registry := prometheus.NewRegistry()
	registry.MustRegister(counter)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if got := families[0].GetMetric()[0].GetCounter().GetValue(); got != names {
		t.Errorf("%v forms were made", got)
	}
	for i := range streams {
		for n := range names {
			if held[i][n] != held[0][n] {
				t.Fatal("two streams have two forms of one key")
			}
		}
	}
	held = nil
	left := func() int {
		forms.mu.Lock()
		defer forms.mu.Unlock()
		return len(forms.byKey)
	}
	for deadline := time.Now().Add(5 * time.Second); left() > 0; runtime.Gosched() {
		if runtime.GC(); time.Now().After(deadline) {
			t.Fatalf("%d forms are kept that no stream has", left())
		}
	}
}

// TestFormThatFails: a Patch that panics leaves the cache as it was.
func TestFormThatFails(t *testing.T) {
	forms := newForms(prometheus.NewCounter(prometheus.CounterOpts{}))
	func() {
		defer func() { _ = recover() }()
		_, _ = forms.of(&Patch{Key: "a", Make: func() Made { panic("a bug") }})
	}()
	made, err := forms.of(&Patch{Key: "a", Make: func() Made { return Made{Cluster: &clusterv3.Cluster{Name: "a"}} }})
	if err != nil || made == nil {
		t.Errorf("afterwards: %v, %v", made, err)
	}
}
