package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lambdamesh/lambdamesh/internal/bench/report"
)

// dataWays are what a request through a sidecar and a terminating gateway may come to:
// an ordinary service, and a function in each way of invoking one: with the filter in the
// cluster, and in the gateway's listener, which is Consul's way too.
var dataWays = [...]string{"plain", "cluster", wayListener}

const wayListener = "listener"

// What an invocation may cost, endpoint included: the share of plain HTTP's rate that
// is left, and how many times as long one takes.
const (
	dataRateLimit = 0.3
	dataTimeLimit = 3
)

const (
	dataCallers  = 8   // connections of each way, each of which waits for its answers
	dataRequests = 320 // in a slice
	dataBody     = 1 << 10
)

// dataPath measures what an invocation costs on its way: envelope, signature and TLS,
// and the endpoint's own check of the signature, against plain HTTP. All of it runs on
// this machine, and there is no function that would take time of its own.
func dataPath(ctx context.Context, s *stage) error {
	urls, err := s.startDataPath(ctx)
	if err != nil {
		return err
	}
	rounds := 30
	if s.smoke {
		rounds = 10
	}
	transport := &http.Transport{MaxIdleConnsPerHost: dataCallers}
	defer transport.CloseIdleConnections()
	load := &load{client: &http.Client{Transport: transport}, body: bytes.Repeat([]byte("x"), dataBody)}
	var rates, medians [len(dataWays)][]float64
	const warmUp = 3
	for round := range rounds + warmUp {
		for turn := range dataWays {
			way := (turn + round) % len(dataWays)
			rate, median, err := load.slice(ctx, urls[way])
			if err != nil {
				return fmt.Errorf("%s: %w", dataWays[way], err)
			}
			if round >= warmUp {
				rates[way], medians[way] = append(rates[way], rate), append(medians[way], median)
			}
		}
	}
	for way, name := range dataWays {
		s.add(report.Plain("data-path/rate/"+name, report.Median(rates[way]), "requests/s"))
		s.add(report.Plain("data-path/p50/"+name, report.Median(medians[way]), "ms"))
		if way == 0 {
			continue
		}
		s.add(report.AtLeast("data-path/rate/"+name+"-to-plain", report.Median(ratios(rates[way], rates[0])), "ratio", dataRateLimit))
		s.add(report.AtMost("data-path/p50/"+name+"-to-plain", report.Median(ratios(medians[way], medians[0])), "ratio", dataTimeLimit))
	}
	s.add(report.Plain("data-path/rate/cluster-to-listener", report.Median(ratios(rates[1], rates[2])), "ratio"))
	s.add(report.Plain("data-path/p50/cluster-to-listener", report.Median(ratios(medians[1], medians[2])), "ratio"))
	return nil
}

// ratios divides turn by turn.
func ratios(of, to []float64) (all []float64) {
	for i := range of {
		all = append(all, of[i]/to[i])
	}
	return all
}

// load is the callers.
type load struct {
	client *http.Client
	body   []byte
}

// slice makes requests from all callers at once: how many a second were answered, and
// the median of the times that they took, in milliseconds.
func (l *load) slice(ctx context.Context, url string) (rate, median float64, err error) {
	var took [dataCallers][]float64
	group, ctx := errgroup.WithContext(ctx)
	begun := time.Now()
	for caller := range dataCallers {
		group.Go(func() error {
			for range dataRequests / dataCallers {
				one, err := l.call(ctx, url)
				if err != nil {
					return err
				}
				took[caller] = append(took[caller], report.Milliseconds(one))
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return 0, 0, err
	}
	whole := time.Since(begun)
	var all []float64
	for _, one := range took {
		all = append(all, one...)
	}
	return float64(len(all)) / whole.Seconds(), report.Median(all), nil
}

func (l *load) call(ctx context.Context, url string) (time.Duration, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(l.body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "text/plain")
	begun := time.Now()
	resp, err := l.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || string(got) != dataAnswer) {
		err = fmt.Errorf("%s answers %d: %.200s", url, resp.StatusCode, got)
	}
	return time.Since(begun), err
}
