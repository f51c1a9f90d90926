package main

import (
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

func writeConfig(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "lambdamesh.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestFileComesLast: flag, environment, file, default.
func TestFileComesLast(t *testing.T) {
	clean(t)
	path := writeConfig(t, "sync-interval: 7m\nnode-name: file\nregions: [eu-west-1, us-east-1]\naws-rate: 2.5\nadopt: true\nxds-addr: 127.0.0.1:1\n")
	c := &registratorCommand{}
	root := newRoot(variables(map[string]string{"LAMBDAMESH_NODE_NAME": "environment", "LAMBDAMESH_CONFIG": path}), io.Discard, io.Discard)
	for _, cmd := range root.Commands() {
		if cmd.Name() == "registrator" {
			root.RemoveCommand(cmd)
		}
	}
	cmd := &cobra.Command{Use: "registrator", RunE: func(*cobra.Command, []string) error { return nil }}
	c.registrator.declare(cmd.Flags())
	root.AddCommand(cmd)
	root.SetArgs([]string{"registrator", "--aws-rate", "3"})
	if err := root.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	f := c.registrator
	if f.awsRate != 3 || f.nodeName != "environment" || f.interval.String() != "7m0s" || strings.Join(f.regions, " ") != "eu-west-1 us-east-1" || !f.adopt || f.policy != "sync" {
		t.Errorf("%+v", f)
	}
}

func TestConfigMistakes(t *testing.T) {
	clean(t)
	t.Setenv("AWS_REGION", "us-east-1")
	for text, says := range map[string]string{
		"nonsense: 1":                      "line 1: there is no flag --nonsense",
		"log_levl: warn":                   "there is no flag --log_levl; is it log-level?",
		"sync-intervall: 1m":               "is it sync-interval?",
		"http-addr: x:1":                   "there is no flag --http-addr; is it consul-http-addr?",
		"lambda-fips: perhaps":             "line 1: --lambda-fips",
		"aws-rate: fast":                   "line 1: --aws-rate",
		"sync-interval: 5":                 "line 1: --sync-interval",
		"max-new-streams: [1, 2]":          "takes one value",
		"max-delete-ratio: 2":              "--max-delete-ratio: 2 is not a share",
		"sync-interval: -1s":               "--sync-interval: -1s is not a time to wait",
		"log-level: info\n---\nregions: a": "line 2: a second document begins",
		"[a]: b":                           "there is no flag --",
		"\x00":                             "is not a text",
		"drain-timeout: soon":              "line 1: --drain-timeout",
		"\n\nlog-level: loud":              "line 3: --log-level: not one of",
		"log-level: info\nlog-level: warn": "line 2: log-level stands there twice, first in line 1",
		"log-level: [info, warn]":          "--log-level takes one value",
		"regions: {a: b}":                  "line 1: regions is neither a value nor a list",
		"regions: [[a]]":                   "neither a value nor a list",
		"node-name:":                       "node-name is neither a value",
		"- a\n- b":                         "not a mapping",
		"a: b: c":                          "lambdamesh.yaml: yaml: ",
		"config: other.yaml":               "config has no place in the file itself",
		"xds-addr: 0.0.0.0:8512":           "--xds-insecure",
		"admin-token-file: x":              "go together",
	} {
		path := writeConfig(t, text)
		for _, args := range [][]string{{"config", "check", "--config", path}, {"serve", "--registrator", "--config", path}} {
			code, stdout, stderr := invoke(t, nil, args...)
			if code != exitUsage || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, says) {
				t.Errorf("%v with %q: exit %d, want %q in %q", args[0], text, code, says, stderr)
				break // or a server would run for ever
			}
		}
	}
	dir := t.TempDir() // which root cannot read either, other than a file without rights
	for _, args := range []string{"config check", "config check --config /nonexistent", "serve --config /nonexistent", "config check --config " + dir, "serve --config " + dir} {
		if code, _, stderr := invoke(t, nil, strings.Fields(args)...); code != exitUsage || !strings.Contains(stderr, "--config") {
			t.Errorf("%s: exit %d, %q", args, code, stderr)
		}
	}
	if code, _, stderr := invoke(t, nil, "config", "check", "--config", writeConfig(t, "node-name: |\n  "+strings.Repeat("x", maxConfig))); code != exitUsage || !strings.Contains(stderr, "larger than") {
		t.Errorf("a large file: exit %d, %q", code, stderr)
	}
}

func TestConfigCheck(t *testing.T) {
	clean(t)
	path := writeConfig(t, "# all of them\nxds-addr: 127.0.0.1:0\nregions:\n  - eu-west-1\nassume-role:\n  - arn:aws:iam::123456789012:role/reader,secret-id\n")
	code, stdout, stderr := invoke(t, nil, "config", "check", "--config", path)
	if code != exitOK || stderr != "" || stdout != path+": 3 settings, all right\n" {
		t.Errorf("exit %d, %q, %q", code, stdout, stderr)
	}
	for _, empty := range []string{"", "# nothing\n", "---\n"} {
		if code, stdout, stderr := invoke(t, nil, "config", "check", "--config", writeConfig(t, empty)); code != exitOK || !strings.Contains(stdout, "0 settings") {
			t.Errorf("a file without settings is a mistake: %q, %q", stdout, stderr)
		}
	}
}

// regionalAWS is a fake: an AWS that refuses every call, and tells of which region it was.
func regionalAWS(t *testing.T) (asked func() map[string]int) {
	t.Helper()
	var mu sync.Mutex
	regions := map[string]int{}
	refusingAWS(t)
	scope := regexp.MustCompile(`Credential=[^/]+/[^/]+/([^/]+)/`)
	aws := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if found := scope.FindStringSubmatch(r.Header.Get("Authorization")); found != nil {
			mu.Lock()
			regions[found[1]]++
			mu.Unlock()
		}
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"__type": "AccessDeniedException", "message": "not you"}`)
	}))
	t.Cleanup(aws.Close)
	t.Setenv("AWS_ENDPOINT_URL", aws.URL)
	return func() map[string]int {
		mu.Lock()
		defer mu.Unlock()
		return maps.Clone(regions)
	}
}

// hangup writes the file and sends SIGHUP.
func hangup(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}

// until returns when a condition holds.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		runtime.Gosched()
	}
}

// TestHangup: SIGHUP re-reads the file; a mistake leaves the one in force, and of what
// cannot change the log says so.
func TestHangup(t *testing.T) {
	for _, args := range []string{"registrator", "serve --registrator --xds-addr=127.0.0.1:0 --admin-addr=127.0.0.1:0"} {
		t.Run(strings.Fields(args)[0], func(t *testing.T) {
			clean(t)
			asked := regionalAWS(t)
			path := writeConfig(t, "log-level: info\nsync-interval: 1h\nregions: us-east-1\nassume-role: arn:aws:iam::210987654321:role/r\n")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var stderr buffer
			code := make(chan int, 1)
			given := append(strings.Fields(args), "--config", path, "--consul-http-addr=127.0.0.1:1", "--node-name=mine")
			go func() { code <- run(ctx, given, variables(nil), io.Discard, &stderr) }()
			stderr.wait(t, " starts")
			const rest = "node-name: theirs\nassume-role: arn:aws:iam::210987654321:role/r\n" // the command line goes before it
			for _, step := range []struct{ text, says string }{
				{"log-level: loud\n", "has a mistake, the one in force stays"},
				{"sync-interval: -1h\n", "--sync-interval: -1h0m0s is not a time to wait"},
				{"sync-interval: 1h\nregions: [eu-west-1, eu-west-1]\n", "eu-west-1 stands there twice"},
				{"log-level: debug\nsync-interval: 1h\nregions: us-east-1\n" + rest, "the log level is another"},
				{"log-level: debug\nsync-interval: 1h\nregions: us-east-1\npolicy: upsert-only\nassume-role: arn:aws:iam::210987654321:role/other\n", `need a restart" settings="assume-role, policy"`},
				{"log-level: debug\nsync-interval: 1h\nregions: us-east-1\npolicy: upsert-only\nassume-role: arn:aws:iam::210987654321:role/other\n", "was read again"},
			} {
				hangup(t, path, step.text)
				stderr.wait(t, step.says)
			}
			if n := asked()["eu-west-1"]; n > 0 {
				t.Errorf("another region was asked %d times", n)
			}
			hangup(t, path, "sync-interval: 1h\nregions: [us-east-1, eu-west-1]\n")
			stderr.wait(t, `the regions are others, they are read now" was=[us-east-1] is="[us-east-1 eu-west-1]"`)
			until(t, "the other region is asked", func() bool { return asked()["eu-west-1"] > 0 })
			hangup(t, path, "sync-interval: 1ms\n")
			stderr.wait(t, `the sync interval is another" was=1h0m0s is=1ms`)
			before := asked()["us-east-1"] // of the environment, since the file names none any more
			until(t, "it runs more often", func() bool { return asked()["us-east-1"] > before+10 })
			cancel()
			if got := <-code; got != exitOK {
				t.Errorf("exit %d: %s", got, stderr.String())
			}
		})
	}
}

// wait returns when so much was written that it holds these words, and forgets what was
// there before.
func (b *buffer) wait(t *testing.T, words string) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for !strings.Contains(b.String(), words) {
		if time.Now().After(deadline) {
			t.Fatalf("%q was not written: %s", words, b.String())
		}
		runtime.Gosched()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.b.Reset()
}
