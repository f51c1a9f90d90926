package consul_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/lambdamesh/lambdamesh/internal/consul"
)

func TestParseGRPCAddrs(t *testing.T) {
	for in, want := range map[string][]consul.GRPCAddr{
		"127.0.0.1:8502":             {{Host: "127.0.0.1", Port: "8502"}},
		"consul.example":             {{Host: "consul.example", Port: "8502"}},
		"grpcs://consul.example":     {{Host: "consul.example", Port: "8503", TLS: true}},
		"https://consul.example:443": {{Host: "consul.example", Port: "443", TLS: true}},
		"http://consul.example:1/":   {{Host: "consul.example", Port: "1"}},
		"grpc://[::1]:8502":          {{Host: "::1", Port: "8502"}},
		"::1":                        {{Host: "::1", Port: "8502"}},
		"unix:///run/consul.sock":    {{Path: "/run/consul.sock"}},
		"a:1, b:2":                   {{Host: "a", Port: "1"}, {Host: "b", Port: "2"}},
	} {
		got, err := consul.ParseGRPCAddrs(in)
		if err != nil {
			t.Errorf("%q: %v", in, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", in, diff)
		}
	}
}

func TestParseGRPCAddrsMistakes(t *testing.T) {
	for in, reason := range map[string]string{
		"":                "not host:port",
		"a:1,":            "not host:port",
		"a:1,,b:2":        "not host:port",
		":8502":           "not host:port",
		"a:b:c":           "not host:port",
		"a:0":             "no port",
		"a:65536":         "no port",
		"a:http":          "no port",
		"ftp://a:1":       "scheme",
		"http://a:1/path": "no port",
		"http://u@a:1":    "not host:port",
		"unix://run/x":    "absolute",
		"a:1,grpcs://b:2": "some do not",
	} {
		got, err := consul.ParseGRPCAddrs(in)
		if err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%q: %v, %v; want an error that says %q", in, got, err, reason)
		}
	}
}
