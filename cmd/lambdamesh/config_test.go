package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
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
		for _, args := range [][]string{{"config", "check", "--config", path}, {"serve", "--config", path}} {
			code, stdout, stderr := invoke(t, nil, args...)
			if code != exitUsage || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, says) {
				t.Errorf("%v with %q: exit %d, want %q in %q", args[0], text, code, says, stderr)
			}
		}
	}
	for _, args := range []string{"config check", "config check --config /nonexistent", "serve --config /nonexistent"} {
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
	if code, _, _ := invoke(t, nil, "config", "check", "--config", writeConfig(t, "")); code != exitOK {
		t.Error("an empty file is a mistake")
	}
}

// TestHangup: SIGHUP re-reads the file; a mistake leaves the one in force.
func TestHangup(t *testing.T) {
	clean(t)
	refusingAWS(t)
	path := writeConfig(t, "log-level: info\nsync-interval: 1h\n")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stderr buffer
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"registrator", "--config", path, "--consul-http-addr=127.0.0.1:1"}, variables(nil), io.Discard, &stderr)
	}()
	stderr.wait(t, "registrator starts")
	for _, step := range []struct{ text, says string }{
		{"log-level: loud\n", "has a mistake, the one in force stays"},
		{"log-level: debug\nsync-interval: 1h\n", "the log level is another"},
		{"log-level: debug\nsync-interval: 2h\n", "need a restart"},
		{"log-level: debug\nsync-interval: 2h\n", "was read again"},
	} {
		if err := os.WriteFile(path, []byte(step.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		stderr.wait(t, step.says)
	}
	cancel()
	if got := <-code; got != exitOK {
		t.Errorf("exit %d: %s", got, stderr.String())
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
