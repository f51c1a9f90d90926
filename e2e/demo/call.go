package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// The calls that are shown. echo is tagged payload-passthrough, so it gets the body
// alone.
var (
	requestOne = testmesh.Request{Path: "/orders/7?name=Ada"}
	requestTwo = testmesh.Request{
		Method: http.MethodPost, Body: `{"answer": 42}`, Header: http.Header{"Content-Type": {"application/json"}},
	}
)

func (d *demo) callOne(ctx context.Context) error {
	// Until everything has reached both Envoys, which it does within a second.
	if _, err := d.web.WaitStatus(ctx, one, requestOne, http.StatusOK); err != nil {
		return err
	}
	before, err := d.gatewayCalls(ctx)
	if err != nil {
		return err
	}
	known := len(d.mesh.AWS.Invoke.Calls())
	if err := d.show(ctx, one, requestOne, http.StatusOK); err != nil {
		return err
	}
	after, err := d.gatewayCalls(ctx)
	if err != nil {
		return err
	}
	if after != before+1 {
		return fmt.Errorf("the gateway counted %d calls, want 1", after-before)
	}
	handshakes, err := d.gateway.Envoy.Stats(ctx, "ssl.handshake")
	if err != nil {
		return err
	}
	if !anyPositive(handshakes, "listener.") {
		return errors.New("the gateway counted no handshake of mTLS")
	}
	calls := d.mesh.AWS.Invoke.Calls()[known:]
	if len(calls) != 1 || calls[0].Refused != "" || calls[0].Status != http.StatusOK {
		return fmt.Errorf("the signature check saw %d calls instead of one good one", len(calls))
	}
	d.say.line("How we know that it went this way:")
	d.say.fact("gateway", "passed on 1 call for hello; its connections are mTLS")
	d.say.fact("AWS", "got 1 call; its signature was computed again and is right")
	d.say.fact("function", "tells its own name and the path it was asked for")
	return nil
}

func (d *demo) denyAndAllow(ctx context.Context) error {
	if err := d.runConsul(ctx, "intention", "create", "-replace", "-deny", caller, one); err != nil {
		return err
	}
	if _, err := d.web.WaitStatus(ctx, one, requestOne, http.StatusForbidden); err != nil {
		return err
	}
	known := len(d.mesh.AWS.Invoke.Calls())
	if err := d.show(ctx, one, requestOne, http.StatusForbidden); err != nil {
		return err
	}
	if n := len(d.mesh.AWS.Invoke.Calls()) - known; n != 0 {
		return fmt.Errorf("%d denied calls reached AWS", n)
	}
	d.say.line("The gateway refused it, and nothing reached AWS. (This gateway runs with Envoy's\n--drain-strategy immediate. By default Envoy takes up to 10 minutes to apply a\nnew intention to connections that are already open.)")
	if err := d.runConsul(ctx, "intention", "create", "-replace", "-allow", caller, one); err != nil {
		return err
	}
	if _, err := d.web.WaitStatus(ctx, one, requestOne, http.StatusOK); err != nil {
		return err
	}
	return d.show(ctx, one, requestOne, http.StatusOK)
}

// show makes one call and prints request and answer.
func (d *demo) show(ctx context.Context, service string, r testmesh.Request, want int) error {
	d.say.command("%s", curl(d.web.URL(service, cmp.Or(r.Path, "/")), r))
	got, err := d.web.Call(ctx, service, r)
	if err != nil {
		return err
	}
	status := fmt.Sprintf("%d %s", got.Status, http.StatusText(got.Status))
	if got.Status != want {
		return fmt.Errorf("%s answered %s, want %d: %.300s", service, status, want, got.Body)
	}
	d.say.good("%s", status)
	d.say.line("%s", readable(got.Body))
	return nil
}

// curl is the command that makes the same call.
func curl(url string, r testmesh.Request) string {
	if r.Method == http.MethodPost {
		return fmt.Sprintf("curl --json '%s' %s", r.Body, url)
	}
	return fmt.Sprintf("curl '%s'", url)
}

// readable is an answer for people. Of hello's, the request's headers and body, which
// it repeats, are left out.
func readable(body []byte) string {
	var hello struct {
		Function string `json:"function"`
		Method   string `json:"method"`
		Path     string `json:"path"`
		Message  string `json:"message"`
	}
	if json.Unmarshal(body, &hello) == nil && hello.Function != "" {
		var out bytes.Buffer
		encoder := json.NewEncoder(&out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		_ = encoder.Encode(hello) // of strings, into memory
		return strings.Replace(strings.TrimSpace(out.String()), "\n}", ",\n  ... (and the request's headers)\n}", 1)
	}
	return strings.TrimSpace(string(body))
}

// gatewayCalls is how many calls for hello the gateway has sent on.
func (d *demo) gatewayCalls(ctx context.Context) (int64, error) {
	stats, err := d.gateway.Envoy.Stats(ctx, "cluster."+one+".")
	if err != nil {
		return 0, err
	}
	for name, n := range stats {
		if strings.HasSuffix(name, ".upstream_rq_total") {
			return n, nil
		}
	}
	return 0, errors.New("the gateway counts no calls for " + one)
}

func anyPositive(stats map[string]int64, prefix string) bool {
	for name, n := range stats {
		if strings.HasPrefix(name, prefix) && n > 0 {
			return true
		}
	}
	return false
}
