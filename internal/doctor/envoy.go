package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// maxStats bounds an answer of Envoy's admin.
const maxStats = 16 << 20

// Envoy checks an Envoy by its admin: its version, its xDS stream, what it refused, and
// whether it found AWS credentials.
func Envoy(ctx context.Context, r *Report, admin string) {
	ctx, cancel := asking(ctx)
	defer cancel()
	if u, err := url.Parse(admin); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		r.add("envoy", Fail, "--envoy-admin is no URL", "give it as http://127.0.0.1:19000")
		return
	}
	admin = strings.TrimRight(admin, "/")
	var server struct {
		Version string `json:"version"`
		State   string `json:"state"`
	}
	if err := fetch(ctx, admin+"/server_info", &server); err != nil {
		r.add("envoy", Fail, err.Error(), "is --envoy-admin its admin address, reachable from here?")
		return
	}
	version := server.Version
	if parts := strings.Split(version, "/"); len(parts) > 1 {
		version = parts[1]
	}
	if server.State == "LIVE" {
		r.add("envoy", OK, "version "+version+", live", "")
	} else {
		r.add("envoy", Warn, "version "+version+", "+server.State, "it has not finished its initialization: see its log, and its page at lambdamesh")
	}
	stats, err := readStats(ctx, admin)
	if err != nil {
		r.add("envoy stats", Warn, err.Error(), "")
		return
	}
	checkStream(r, stats)
	checkCredentials(r, stats)
}

func checkStream(r *Report, stats map[string]float64) {
	if stats["control_plane.connected_state"] == 1 {
		r.add("envoy xds", OK, "connected", "")
	} else {
		r.add("envoy xds", Fail, "not connected", "does its bootstrap name lambdamesh (-grpc-addr), and does TLS fit? Its log says why")
	}
	for _, one := range []string{"cluster_manager.cds.update_rejected", "listener_manager.lds.update_rejected"} {
		if n := stats[one]; n > 0 {
			r.add("envoy refusals", Warn, fmt.Sprintf("%s is %.0f", one, n), "its page at lambdamesh has its words, if it refused what lambdamesh made; else its log")
		}
	}
}

// checkCredentials: Envoy counts refreshes only where credentials come from a service
// (EC2, ECS, EKS, STS), not from variables or files.
func checkCredentials(r *Report, stats map[string]float64) {
	succeeded, failed := 0.0, 0.0
	for name, value := range stats {
		switch {
		case strings.HasSuffix(name, ".credential_refreshes_succeeded"):
			succeeded += value
		case strings.HasSuffix(name, ".credential_refreshes_failed"):
			failed += value
		}
	}
	switch {
	case succeeded > 0:
		r.add("envoy credentials", OK, fmt.Sprintf("read %.0f times", succeeded), "")
	case failed > 0:
		r.add("envoy credentials", Fail, fmt.Sprintf("%.0f attempts failed", failed), "give its host, task or pod a role, and let it reach the metadata service")
	default:
		r.add("envoy credentials", Skip, "it counts none that come from variables or files, and none before the first function", "")
	}
}

func readStats(ctx context.Context, admin string) (map[string]float64, error) {
	var answer struct {
		Stats []struct {
			Name  string          `json:"name"`
			Value json.RawMessage `json:"value"`
		} `json:"stats"`
	}
	if err := fetch(ctx, admin+"/stats?format=json", &answer); err != nil {
		return nil, err
	}
	stats := map[string]float64{}
	for _, one := range answer.Stats {
		var value float64
		if json.Unmarshal(one.Value, &value) == nil { // else a histogram or a text
			stats[one.Name] = value
		}
	}
	return stats, nil
}

func fetch(ctx context.Context, from string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", from, resp.Status)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxStats)).Decode(into); err != nil {
		return errors.New(from + " does not answer as an Envoy does")
	}
	return nil
}
