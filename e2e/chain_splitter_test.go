package e2e

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"sync"
	"testing"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// splitter: each call is signed for the function that it falls to, and the shares are
// those of the entry.
func (s *topologies) splitter(t *testing.T) {
	s.documented("Service splitter")
	const calls = 1000
	for upstream, weights := range map[string]map[string]float64{
		"halves": {"hello": 0.5, "goodbye": 0.5},
		"mixed":  {"app": 0.75, "near": 0.25},
		"canary": {"hello:blue": 0.9, "hello:green": 0.1},
	} {
		s.answers(s.web, upstream, testmesh.Request{}, http.StatusOK)
		got := s.shares(s.web, upstream, calls)
		total := 0
		for name, weight := range weights {
			total += got[name]
			mean, deviation := calls*weight, math.Sqrt(calls*weight*(1-weight))
			if off := math.Abs(float64(got[name]) - mean); off > 4*deviation {
				t.Errorf("%s: %d of %d calls to %s: %.1f standard deviations off", upstream, got[name], calls, name, off/deviation)
			}
		}
		if total != calls {
			t.Errorf("%s: %d calls came to %v", upstream, calls, got)
		}
	}
}

// shares calls an upstream so many times and tells how many of the calls reached each of
// what it leads to: a function by the ARN that was signed, an ordinary service by its answer.
func (s *story) shares(c *testmesh.Sidecar, upstream string, calls int) map[string]int {
	s.t.Helper()
	const workers = 4
	defer s.AWS.Invoke.Fake(`{"statusCode": 200, "headers": {"x-function": "any"}}`)()
	before := len(s.AWS.Invoke.Calls())
	transport := &http.Transport{MaxIdleConnsPerHost: workers}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	var mu sync.Mutex
	ordinary := map[string]int{}
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for range calls / workers {
				answer, err := get(client, c.URL(upstream, "/"))
				if err != nil {
					s.t.Error(err)
					return
				}
				if answer.header.Get("X-Function") == "" {
					mu.Lock()
					ordinary[string(answer.body)]++
					mu.Unlock()
				}
			}
		})
	}
	group.Wait()
	counts := s.invocations(before)
	for name, n := range ordinary {
		counts[name] += n
	}
	return counts
}

// page is an answer.
type page struct {
	header http.Header
	body   []byte
}

// get is do for a plain GET.
func get(client *http.Client, url string) (page, error) {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return page{}, err
	}
	return do(client, req)
}

// do wants a 200.
func do(client *http.Client, req *http.Request) (page, error) {
	resp, err := client.Do(req)
	if err != nil {
		return page{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answered %d: %.200s", req.URL, resp.StatusCode, body)
	}
	return page{resp.Header, body}, err
}
