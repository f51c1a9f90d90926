package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clean takes every variable away that could decide on a test.
func clean(t *testing.T) {
	t.Helper()
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		for _, prefix := range []string{"CONSUL_", "AWS_", twinPrefix} {
			if name == "CONSUL_BIN" { // where the harness finds Consul
				continue
			}
			if strings.HasPrefix(name, prefix) {
				t.Setenv(name, "")
				if err := os.Unsetenv(name); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
}

func variables(pairs map[string]string) environment {
	return func(name string) (string, bool) {
		value, found := pairs[name]
		return value, found
	}
}

// invoke runs the program in this process.
func invoke(t *testing.T, env map[string]string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, variables(env), &out, &errs)
	return code, out.String(), errs.String()
}

func TestMistakesExitWith2AndOneLine(t *testing.T) {
	clean(t)
	t.Setenv("AWS_REGION", "us-east-1")
	for _, test := range []struct {
		args string
		env  map[string]string
		says string
	}{
		{args: "nonsense", says: `"nonsense"`},
		{args: "serve --nonsense", says: "--nonsense"},
		{args: "serve -nonsense", says: "unknown shorthand"},
		{args: "serve more", says: `"more"`},
		{args: "serve --allow-everything x", says: "--allow-everything"}, // of a later version: not taken in silence
		{args: "serve --allow-roles x", says: "--allow-roles: \"x\" is neither an ARN"},
		{args: "serve --allow-arns arn:aws:lambda:*", says: "--allow-arns"},
		{args: "serve --allow-arns=", says: "--allow-arns: no glob"},
		{args: "serve --xds-addr 0.0.0.0:0", says: "--xds-insecure"},
		{args: "serve --xds-addr :0", says: "--xds-insecure"},
		{args: "serve --xds-addr nowhere", says: "not host:port"},
		{args: "serve --xds-cert-file x", says: "go together"},
		{args: "serve --xds-addr 0.0.0.0:0 --xds-key-file x", says: "go together"},
		{args: "serve --xds-client-ca-file x", says: "--xds-cert-file"},
		{args: "serve --xds-insecure --xds-client-ca-file x", says: "--xds-cert-file"},
		{args: "serve --xds-tls-min-version 1.3", says: "--xds-cert-file"},
		{args: "serve --xds-tls-min-version 1.1", says: "1.2, 1.3"},
		{args: "serve --xds-cert-file /nonexistent --xds-key-file /nonexistent", says: "--xds-cert-file: open /nonexistent"},
		{args: "serve --xds-cert-file run_test.go --xds-key-file run_test.go", says: "--xds-cert-file run_test.go and --xds-key-file"},
		{args: "serve --xds-advertise-addr 192.0.2.1:8502", says: "not an IP address without port"},
		{args: "serve --xds-advertise-addr lambdamesh.example", says: "--xds-advertise-addr"},
		{args: "serve --xds-advertise-addr 0.0.0.0", says: "--xds-advertise-addr"},
		{args: "serve --max-new-streams 0", says: "--max-new-streams"},
		{args: "serve --max-new-streams many", says: "500/s"},
		{args: "serve --admin-addr 0.0.0.0:0", says: "--admin-token-file"},
		{args: "serve --admin-token-file x", says: "go together"},
		{args: "serve --admin-cert-file /nonexistent --admin-key-file x --admin-token-file x", says: "--admin-cert-file: open /nonexistent"},
		{args: "serve --probe-addr 99", says: "not host:port"},
		{args: "serve --patch-mode both", says: "auto, cluster, listener"},
		{args: "serve --direct sometimes", says: "auto, auto-failover, never"},
		{args: "serve --log-level loud", says: "--log-level"},
		{args: "serve --max-message-size 5M", says: "50MiB"},
		{args: "serve --max-message-size 50", says: "--max-message-size: 50 is less"},
		{args: "serve --drain-timeout -1s", says: "--drain-timeout"},
		{args: "serve --upstream-grace 0s", says: "--upstream-grace"},
		{args: "serve --consul-grpc-addr ftp://x:1", says: "--consul-grpc-addr"},
		{args: "serve --consul-grpc-ca-file /nonexistent", says: "/nonexistent"},
		{args: "serve --consul-http-addr ftp://x:1", says: "ftp"},
		{args: "serve --consul-token-file /nonexistent", says: "/nonexistent"},
		{args: "serve --lambda-ca-file /nonexistent", says: "/nonexistent"},
		{args: "serve --lambda-endpoint-url x", says: "http"},
		{args: "serve --registrator --max-delete-ratio 2", says: "--max-delete-ratio"},
		{args: "serve", env: map[string]string{"LAMBDAMESH_XDS_ADDR": "0.0.0.0:0"}, says: "--xds-insecure"},
		{args: "serve", env: map[string]string{"LAMBDAMESH_DRAIN_TIMEOUT": "soon"}, says: "LAMBDAMESH_DRAIN_TIMEOUT"},
		{args: "serve", env: map[string]string{"AWS_USE_FIPS_ENDPOINT": "perhaps"}, says: "AWS_USE_FIPS_ENDPOINT"},
		{args: "doctor --envoy-admin 127.0.0.1:19000", says: "--envoy-admin"},
		{args: "doctor --sqs-queue-url events", says: `--sqs-queue-url: "events" is not the URL of a queue`},
		{args: "doctor --assume-role admin", says: "--assume-role"},
		{args: "doctor --timeout 0s", says: "--timeout"},
		{args: "doctor --consul-grpc-addr ftp://x:1", says: "--consul-grpc-addr"},
		{args: "doctor -o yaml", says: "table, json"},
		{args: "doctor more", says: `"more"`},
		{args: "sync -o yaml", says: "table, json"},
		{args: "inspect -o yaml", says: "-o yaml shows the resources of one service"},
		{args: "inspect hello -o xml", says: "table, json, yaml"},
		{args: "registrator --regions us-east-1 --max-delete-ratio NaN", says: "--max-delete-ratio"},
		{args: "registrator --regions us-east-1 --aws-rate NaN", says: "--aws-rate"},
		{args: "registrator --regions us-east-1 --aws-rate Inf", says: "--aws-rate"},
		{args: "registrator --regions us-east-1 --aws-rate 0", says: "--aws-rate"},
		{args: "registrator --regions us-east-1 --sync-interval 0s", says: "--sync-interval"},
		{args: "registrator --regions us-east-1,", says: `--regions: "" is not the name of a region`},
		{args: "registrator --regions us_east_1", says: "--regions"},
		{args: "registrator --policy none", says: "sync, upsert-only"},
		{args: "registrator --regions us-east-1 --partitions p1", says: "--partitions"},
		{args: "registrator --sqs-queue-url events", says: `--sqs-queue-url: "events" is not the URL of a queue`},
		{args: "serve --registrator", env: map[string]string{"LAMBDAMESH_SQS_QUEUE_URL": "events"}, says: "--sqs-queue-url"},
	} {
		code, stdout, stderr := invoke(t, test.env, strings.Fields(test.args)...)
		if code != exitUsage || stdout != "" {
			t.Errorf("%s: exit %d, stdout %q", test.args, code, stdout)
		}
		if strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "lambdamesh: ") || !strings.Contains(stderr, test.says) {
			t.Errorf("%s: stderr is not one line that says %q: %q", test.args, test.says, stderr)
		}
	}
}

func TestMissingRegionIsAMistake(t *testing.T) {
	clean(t)
	for _, args := range [][]string{{"registrator"}, {"sync"}, {"serve", "--registrator"}} {
		code, _, stderr := invoke(t, nil, args...)
		if code != exitUsage || !strings.Contains(stderr, "AWS_REGION") {
			t.Errorf("%v: exit %d, %q", args, code, stderr)
		}
	}
}

func TestAnswersOnStdout(t *testing.T) {
	for args, says := range map[string]string{
		"version": "lambdamesh ", "--version": "lambdamesh ", "": "Usage:", "help": "Usage:",
		"serve --help": "--xds-addr", "serve -help": "--xds-addr", "completion bash": "lambdamesh",
	} {
		code, stdout, stderr := invoke(t, nil, strings.Fields(args)...)
		if code != exitOK || stderr != "" || !strings.Contains(stdout, says) {
			t.Errorf("%q: exit %d, stderr %q, stdout without %q", args, code, stderr, says)
		}
	}
}

// parse gives the values of the flags of a command as they would be used.
func parse(t *testing.T, env map[string]string, args ...string) map[string]string {
	t.Helper()
	root := newRoot(variables(env), io.Discard, io.Discard)
	cmd, _, err := root.Find(args)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		for _, name := range []string{
			"consul-http-addr", "consul-grpc-addr", "consul-token-file", "log-level",
			"lambda-endpoint-url", "lambda-fips", "sync-interval", "consul-grpc-ca-file", "regions",
		} {
			values[name] = cmd.Flag(name).Value.String()
		}
		return nil
	}
	root.SetArgs(longFlags(root, args))
	if err := root.ExecuteContext(context.Background()); err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return values
}

func TestPrecedence(t *testing.T) {
	theirs := map[string]string{
		"CONSUL_HTTP_ADDR": "theirs:1", "CONSUL_GRPC_ADDR": "theirs:2", "CONSUL_GRPC_CACERT": "theirs.pem",
		"AWS_ENDPOINT_URL_LAMBDA": "http://theirs", "AWS_USE_FIPS_ENDPOINT": "true",
		"NODE_NAME": "not-ours", "LOG_LEVEL": "debug", // bare names are read by bootstrap only
	}
	ours := map[string]string{
		"LAMBDAMESH_CONSUL_HTTP_ADDR": "ours:1", "LAMBDAMESH_CONSUL_GRPC_ADDR": "ours:2",
		"LAMBDAMESH_LAMBDA_ENDPOINT_URL": "http://ours", "LAMBDAMESH_LAMBDA_FIPS": "false",
		"LAMBDAMESH_SYNC_INTERVAL": "7s", "LAMBDAMESH_REGIONS": "us-east-1,eu-west-1", "LAMBDAMESH_LOG_LEVEL": "",
	}
	both := map[string]string{}
	for _, from := range []map[string]string{theirs, ours} {
		for k, v := range from {
			both[k] = v
		}
	}
	for name, test := range map[string]struct {
		env  map[string]string
		args []string
		want map[string]string
	}{
		"default": {want: map[string]string{
			"consul-http-addr": "", "consul-grpc-addr": "127.0.0.1:8502", "lambda-endpoint-url": "",
			"lambda-fips": "false", "sync-interval": "5m0s", "consul-grpc-ca-file": "", "regions": "[]",
		}},
		"theirs": {env: theirs, want: map[string]string{
			"consul-http-addr": "theirs:1", "consul-grpc-addr": "theirs:2", "lambda-endpoint-url": "http://theirs",
			"lambda-fips": "true", "sync-interval": "5m0s", "consul-grpc-ca-file": "theirs.pem", "regions": "[]",
		}},
		"ours": {env: both, want: map[string]string{
			"consul-http-addr": "ours:1", "consul-grpc-addr": "ours:2", "lambda-endpoint-url": "http://ours",
			"lambda-fips": "false", "sync-interval": "7s", "consul-grpc-ca-file": "theirs.pem", "regions": "[us-east-1,eu-west-1]",
		}},
		"flags": {
			env:  both,
			args: []string{"--consul-http-addr=f:1", "--consul-grpc-addr", "f:2", "--lambda-endpoint-url=http://f", "--lambda-fips=true", "--sync-interval=9s", "--regions=r-1", "--regions=r-2"},
			want: map[string]string{
				"consul-http-addr": "f:1", "consul-grpc-addr": "f:2", "lambda-endpoint-url": "http://f",
				"lambda-fips": "true", "sync-interval": "9s", "consul-grpc-ca-file": "theirs.pem", "regions": "[r-1,r-2]",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := parse(t, test.env, append([]string{"serve"}, test.args...)...)
			test.want["consul-token-file"], test.want["log-level"] = "", "info"
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOneDashAndConsulsNames(t *testing.T) {
	got := parse(t, nil, "serve", "-http-addr", "h:1", "-grpc-addr=g:2", "-token-file", "t", "-log-level", "warn", "-lambda-fips")
	if got["consul-http-addr"] != "h:1" || got["consul-grpc-addr"] != "g:2" || got["consul-token-file"] != "t" ||
		got["log-level"] != "warn" || got["lambda-fips"] != "true" {
		t.Errorf("one dash: %v", got)
	}
	got = parse(t, nil, "serve", "--http-addr", "h:1", "--grpc-addr=g:2")
	if got["consul-http-addr"] != "h:1" || got["consul-grpc-addr"] != "g:2" {
		t.Errorf("two dashes: %v", got)
	}
	root := newRoot(variables(nil), io.Discard, io.Discard)
	in := []string{"sync", "-o", "json", "-dry-run", "-ojson", "-nothing", "--", "-dry-run"}
	want := []string{"sync", "-o", "json", "--dry-run", "-ojson", "-nothing", "--", "-dry-run"}
	if diff := cmp.Diff(want, longFlags(root, in)); diff != "" {
		t.Error(diff)
	}
	if in[3] != "-dry-run" {
		t.Error("the arguments given were changed")
	}
}

func TestSize(t *testing.T) {
	for in, want := range map[string]int{"1": 1, "4KiB": 4096, "50MiB": 50 << 20, "1GiB": 1 << 30} {
		var s size
		if err := s.Set(in); err != nil || int(s) != want || s.String() != in {
			t.Errorf("%s: %d %s %v", in, int(s), s.String(), err)
		}
	}
	for _, in := range []string{"", "0", "-1", "x", "1.5MiB", "2GiB", "99999999999999999999", "50MB"} {
		if new(size).Set(in) == nil {
			t.Errorf("%q is taken", in)
		}
	}
}

func TestRate(t *testing.T) {
	for in, want := range map[string]int{"1": 1, "500/s": 500, "3000": 3000} {
		var p perSecond
		if err := p.Set(in); err != nil || int(p) != want {
			t.Errorf("%s: %s %v", in, p.String(), err)
		}
	}
	for _, in := range []string{"", "0", "0/s", "-1", "x", "1.5", "5/m", "99999999999999999999"} {
		if new(perSecond).Set(in) == nil {
			t.Errorf("%q is taken", in)
		}
	}
}
