package main

import (
	"context"
	"fmt"
	"time"

	"github.com/lambdamesh/lambdamesh/internal/bench/fakeconsul"
	"github.com/lambdamesh/lambdamesh/internal/bench/frames"
	"github.com/lambdamesh/lambdamesh/internal/bench/report"
	"github.com/lambdamesh/lambdamesh/internal/bench/simenvoy"
)

// hopLimit is how much longer than through the bare relay a response may take.
const hopLimit = 1.3

// hop measures one hop: a proxy acknowledges, and the upstream sends the next
// response at once.
func hop(ctx context.Context, s *stage) error {
	addrs, err := s.startWays(ctx)
	if err != nil {
		return err
	}
	for _, size := range []struct {
		name     string
		clusters int
		answers  int // in a slice
	}{
		// The recorded cluster has 2.3 kB with its name and version.
		{"25kB", 11, 40},
		{"250kB", 109, 15},
	} {
		rounds := 80
		if s.smoke {
			rounds = 40
		}
		took, ratios, err := pingPong(ctx, addrs, size.clusters, rounds, size.answers)
		if err != nil {
			return err
		}
		s.add(report.AtMost("hop/"+size.name+"/lambdamesh-to-bare-relay", report.Median(ratios), "ratio", hopLimit))
		for way, name := range ways {
			s.add(report.Plain(fmt.Sprintf("hop/%s/p50/%s", size.name, name), report.Median(took[way]), "ms"))
		}
	}
	return nil
}

// pingPong measures the ways in turns. took are the times of single answers, in
// milliseconds; ratios those of the medians of one turn, ours to the bare relay's.
func pingPong(ctx context.Context, addrs [len(ways)]string, clusters, rounds, answers int) (took [len(ways)][]float64, ratios []float64, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var proxies [len(ways)]*pinger
	for way, addr := range addrs {
		if proxies[way], err = newPinger(ctx, addr, fakeconsul.Script{Services: clusters, Loop: true}); err != nil {
			return took, nil, fmt.Errorf("%s: %w", ways[way], err)
		}
		defer proxies[way].envoy.Close()
	}
	const warmUp = 5
	for round := range rounds + warmUp {
		var medians [len(ways)]float64
		for turn := range ways {
			way := (turn + round) % len(ways)
			slice, err := proxies[way].play(answers)
			if err != nil {
				return took, nil, fmt.Errorf("%s: %w", ways[way], err)
			}
			if round >= warmUp {
				took[way] = append(took[way], slice...)
			}
			medians[way] = report.Median(slice)
		}
		if round >= warmUp {
			ratios = append(ratios, medians[ours]/medians[bare])
		}
	}
	return took, ratios, nil
}

// pinger is a proxy that answers only when it is told to.
type pinger struct {
	envoy *simenvoy.Envoy
	held  *frames.Response
}

func newPinger(ctx context.Context, addr string, script fakeconsul.Script) (*pinger, error) {
	node, err := simenvoy.Node(proxyID(0), consulNode, script.String())
	if err != nil {
		return nil, err
	}
	e, err := simenvoy.Connect(ctx, simenvoy.Config{Addr: addr, Node: node})
	if err != nil {
		return nil, err
	}
	p := &pinger{envoy: e}
	for {
		if p.held, err = p.next(); err != nil {
			return nil, err
		}
		if e.Warm() {
			return p, nil
		}
		if err := e.Answer(p.held); err != nil {
			return nil, err
		}
	}
}

// next is the next response about clusters. Others are answered: endpoints may come
// again at any time.
func (p *pinger) next() (*frames.Response, error) {
	for {
		r, err := p.envoy.Receive()
		if err != nil || r.TypeURL == frames.Clusters {
			return r, err
		}
		if err := p.envoy.Answer(r); err != nil {
			return nil, err
		}
	}
}

// play acknowledges and waits for the next response, so many times.
func (p *pinger) play(answers int) (took []float64, err error) {
	for range answers {
		begun := time.Now()
		if err := p.envoy.Acknowledge(p.held); err != nil {
			return nil, err
		}
		if p.held, err = p.next(); err != nil {
			return nil, err
		}
		took = append(took, report.Milliseconds(time.Since(begun)))
	}
	return took, nil
}
