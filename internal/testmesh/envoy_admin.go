package testmesh

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// Admin asks Envoy's admin server and returns the body of a 200.
func (e *Envoy) Admin(ctx context.Context, method, path string) ([]byte, error) {
	return fetch(ctx, method, "http://"+e.AdminAddr()+path, nil)
}

// Stats are the counters and gauges whose name contains part ("" for all).
func (e *Envoy) Stats(ctx context.Context, part string) (map[string]int64, error) {
	body, err := e.Admin(ctx, http.MethodGet, "/stats?type=All")
	if err != nil {
		return nil, err
	}
	stats := map[string]int64{}
	for line := range strings.Lines(string(body)) {
		// From the right: a cluster's name may hold a colon.
		at := strings.LastIndex(line, ": ")
		if at < 0 || !strings.Contains(line[:at], part) {
			continue
		}
		// Histograms and texts are not numbers.
		if n, err := strconv.ParseInt(strings.TrimSpace(line[at+2:]), 10, 64); err == nil {
			stats[line[:at]] = n
		}
	}
	return stats, nil
}

// Stat is one counter or gauge; one that Envoy does not have yet is 0.
func (e *Envoy) Stat(ctx context.Context, name string) (int64, error) {
	stats, err := e.Stats(ctx, name)
	return stats[name], err
}

// WaitStat polls a counter or gauge until it is what is wanted.
func (e *Envoy) WaitStat(ctx context.Context, name string, want func(int64) bool) error {
	return e.Ready(ctx, func(ctx context.Context) error {
		n, err := e.Stat(ctx, name)
		if err == nil && !want(n) {
			err = fmt.Errorf("the stat %s is %d", name, n)
		}
		return err
	})
}

// Rejected is the sum of update_rejected of every type of resource, and Updates that
// of update_success: no rejection says something only while updates grow.
func (e *Envoy) Rejected(ctx context.Context) (int64, error) { return e.sum(ctx, ".update_rejected") }

// Updates is the sum of update_success of every type of resource.
func (e *Envoy) Updates(ctx context.Context) (int64, error) { return e.sum(ctx, ".update_success") }

func (e *Envoy) sum(ctx context.Context, suffix string) (int64, error) {
	stats, err := e.Stats(ctx, suffix)
	var total int64
	for name, n := range stats {
		if strings.HasSuffix(name, suffix) {
			total += n
		}
	}
	return total, err
}

// ConfigDump is /config_dump. Resource narrows it ("dynamic_active_clusters"); "" is
// the whole, with endpoints.
func (e *Envoy) ConfigDump(ctx context.Context, resource string) (json.RawMessage, error) {
	query := "?include_eds"
	if resource != "" {
		query = "?resource=" + resource
	}
	body, err := e.Admin(ctx, http.MethodGet, "/config_dump"+query)
	return body, err
}

// ClusterStatus is one cluster of /clusters.
type ClusterStatus struct {
	Name         string `json:"name"`
	AddedViaAPI  bool   `json:"added_via_api"`
	HostStatuses []struct {
		Address struct {
			SocketAddress struct {
				Address string `json:"address"`
				Port    int    `json:"port_value"`
			} `json:"socket_address"`
		} `json:"address"`
		Hostname string `json:"hostname"`
	} `json:"host_statuses"`
}

// Clusters are the active clusters with their endpoints.
func (e *Envoy) Clusters(ctx context.Context) ([]ClusterStatus, error) {
	body, err := e.Admin(ctx, http.MethodGet, "/clusters?format=json")
	if err != nil {
		return nil, err
	}
	var all struct {
		Statuses []ClusterStatus `json:"cluster_statuses"`
	}
	if err := json.Unmarshal(body, &all); err != nil {
		return nil, fmt.Errorf("reading Envoy's clusters: %w", err)
	}
	return all.Statuses, nil
}

// Listeners are the names of the active listeners.
func (e *Envoy) Listeners(ctx context.Context) ([]string, error) {
	body, err := e.Admin(ctx, http.MethodGet, "/listeners?format=json")
	if err != nil {
		return nil, err
	}
	var all struct {
		Statuses []struct {
			Name string `json:"name"`
		} `json:"listener_statuses"`
	}
	if err := json.Unmarshal(body, &all); err != nil {
		return nil, fmt.Errorf("reading Envoy's listeners: %w", err)
	}
	var names []string
	for _, s := range all.Statuses {
		names = append(names, s.Name)
	}
	return names, nil
}

// fetch makes one request and returns the body of a 200.
func fetch(ctx context.Context, method, url string, header http.Header) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	resp, err := (&http.Client{Transport: newTransport()}).Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s answered %d: %.200s", method, url, resp.StatusCode, body)
	}
	return body, err
}
