package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/lambdamesh/lambdamesh/lambda/patch"
)

// maxStats bounds an answer of Envoy's admin.
const maxStats = 16 << 20

// Envoy is what is checked of an Envoy, by its admin.
type Envoy struct {
	Admin string // a URL
}

// Check asks it for its version, its xDS stream, what it refused, and whether it found AWS
// credentials.
func (e Envoy) Check(ctx context.Context, r *Report) {
	admin := strings.TrimRight(e.Admin, "/")
	var server struct {
		Version string `json:"version"`
		State   string `json:"state"`
	}
	err := r.ask(ctx, func(ctx context.Context) error { return fetch(ctx, admin+"/server_info", &server) })
	if err != nil {
		r.add("envoy", Fail, err.Error(), "is --envoy-admin its admin address, reachable from here?")
		return
	}
	if server.State == "LIVE" {
		r.add("envoy", OK, admin+" is live", "")
	} else {
		r.add("envoy", Warn, admin+" is "+server.State, "it has not finished its initialization: see its log, and its page at lambdamesh")
	}
	checkVersion(r, server.Version)
	var stats map[string]float64
	err = r.ask(ctx, func(ctx context.Context) (err error) {
		stats, err = readStats(ctx, admin)
		return err
	})
	if err != nil {
		r.add("envoy stats", Fail, err.Error(), "does something stand before its admin that lets only some paths through?")
		return
	}
	checkStream(r, stats)
	checkRefusals(r, stats)
	checkCredentialsOf(r, stats)
	checkCalls(r, stats)
}

// ParseAdmin checks the URL of an Envoy's admin.
func ParseAdmin(text string) (Envoy, error) {
	if u, err := url.Parse(text); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return Envoy{}, errors.New("not a URL like http://127.0.0.1:19000")
	}
	return Envoy{text}, nil
}

// checkVersion reads "commit/1.40.0/Clean/RELEASE/BoringSSL".
func checkVersion(r *Report, text string) {
	fields := strings.Split(text, "/")
	var v patch.Version
	if len(fields) > 1 {
		if n, _ := fmt.Sscanf(fields[1], "%d.%d.%d", &v.Major, &v.Minor, &v.Patch); n < 3 {
			v = patch.Version{}
		}
	}
	lacks, supported := v.Lacks()
	switch {
	case v == patch.Version{}:
		r.add("envoy version", Warn, fmt.Sprintf("%q is none that lambdamesh can read", text), "what lambdamesh does by version it then leaves: use a release of Envoy's")
	case !supported:
		r.add("envoy version", Fail, fields[1]+" cannot invoke functions", "use 1.31 or later")
	case len(lacks) > 0:
		r.add("envoy version", Warn, fields[1]+" cannot do all: "+strings.Join(lacks, "; "), "where that is needed, use a later one")
	default:
		r.add("envoy version", OK, fields[1], "")
	}
}

func checkStream(r *Report, stats map[string]float64) {
	if stats["control_plane.connected_state"] == 1 {
		r.add("envoy xds", OK, "connected", "")
	} else {
		r.add("envoy xds", Fail, "not connected", "does its bootstrap name lambdamesh (-grpc-addr), and does TLS fit? Its log says why")
	}
}

// checkRefusals: of every type of resource; those of routes and endpoints are counted for
// each by itself.
func checkRefusals(r *Report, stats map[string]float64) {
	var refused []string
	for name, n := range stats {
		if strings.HasSuffix(name, ".update_rejected") && n > 0 {
			refused = append(refused, fmt.Sprintf("%s is %.0f", name, n))
		}
	}
	slices.Sort(refused)
	switch n := len(refused); {
	case n == 0:
		r.add("envoy refusals", OK, "it refused no update", "")
		return
	case n > mostRefusals:
		refused = append(refused[:mostRefusals], fmt.Sprintf("and %d more", n-mostRefusals))
	}
	r.add("envoy refusals", Warn, "since its start "+strings.Join(refused, ", "), "its page at lambdamesh has its words, if it refused what lambdamesh made; else its log")
}

// mostRefusals are those that a line names.
const mostRefusals = 5

// checkCredentialsOf: Envoy counts refreshes only where credentials come from a service
// (EC2, ECS, EKS, STS), not from variables or files.
func checkCredentialsOf(r *Report, stats map[string]float64) {
	succeeded, failed := sum(stats, ".credential_refreshes_succeeded"), sum(stats, ".credential_refreshes_failed")
	switch {
	case succeeded > 0:
		r.add("envoy credentials", OK, fmt.Sprintf("loaded %.0f times", succeeded), "")
	case failed > 0:
		r.add("envoy credentials", Fail, fmt.Sprintf("none are loaded: %.0f attempts failed", failed), "give its host, task or pod a role, and let it reach the metadata service")
	default:
		r.add("envoy credentials", Skip, "it counts none that come from variables or files, and none before the first function", "")
	}
}

// checkCalls: a function may answer 403 of its own will, so it is no failure.
func checkCalls(r *Report, stats map[string]float64) {
	functions, refused := 0, 0.0
	for name := range stats {
		if cluster, ok := strings.CutSuffix(name, ".aws_lambda.server_error"); ok && strings.HasPrefix(cluster, "cluster.") {
			functions++
			refused += stats[cluster+".upstream_rq_403"]
		}
	}
	switch {
	case functions == 0:
		r.add("envoy functions", Skip, "it has none, or has them in listener mode", "lambdamesh inspect NAME says which Envoys have a function, and why not")
	case refused > 0:
		r.add("envoy functions", Warn, fmt.Sprintf("it has %d; %.0f calls were answered with 403", functions, refused),
			"if AWS said so and not a function: it found no credentials, or its role may not invoke; the body of such an answer says which")
	default:
		r.add("envoy functions", OK, fmt.Sprintf("it has %d, and no call was answered with 403", functions), "")
	}
}

func sum(stats map[string]float64, suffix string) (total float64) {
	for name, n := range stats {
		if strings.HasSuffix(name, suffix) {
			total += n
		}
	}
	return total
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
