package main

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// environ is an environment of these variables alone.
func environ(variables map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := variables[name]
		return value, ok
	}
}

func TestSettings(t *testing.T) {
	for name, test := range map[string]struct {
		variables map[string]string
		want      settings
	}{
		"none": {nil, settings{}},
		"all": {map[string]string{
			"NODE_NAME": "n", "DATACENTER": "dc2", "ENTERPRISE": "true", "PARTITIONS": "a, b", "PAGE_SIZE": "20", "LOG_LEVEL": "DEBUG",
			"CONSUL_HTTP_TOKEN_PATH": "/t", "CONSUL_CACERT_PATH": "/c",
		}, settings{
			nodeName: "n", datacenter: "dc2", partitions: []string{"a", "b"}, pageSize: 20, logLevel: slog.LevelDebug,
			tokenPath: "/t", caPath: "/c",
		}},
		"Enterprise's default":           {map[string]string{"ENTERPRISE": "1"}, settings{partitions: []string{"default"}}},
		"the level below all":            {map[string]string{"LOG_LEVEL": "trace"}, settings{logLevel: slog.LevelDebug}},
		"what is empty":                  {map[string]string{"NODE_NAME": "", "PAGE_SIZE": "", "ENTERPRISE": "", "PARTITIONS": ","}, settings{}},
		"names of the other program's":   {map[string]string{"LAMBDAMESH_NODE_NAME": "other"}, settings{}},
		"an extension that is not asked": {map[string]string{"CONSUL_EXTENSION_DATA_PREFIX": ""}, settings{}},
	} {
		got, err := readSettings(environ(test.variables))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(settings{})); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

func TestSettingsThatCannotBe(t *testing.T) {
	for variable, value := range map[string]string{
		"CONSUL_EXTENSION_DATA_PREFIX": "/lambda/certs", "LOG_LEVEL": "loud", "PAGE_SIZE": "0", "ENTERPRISE": "perhaps", "PARTITIONS": "a",
	} {
		_, err := open(t.Context(), environ(map[string]string{variable: value}))
		if err == nil || !strings.HasPrefix(err.Error(), variable+": ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s=%s: %v", variable, value, err)
		}
	}
}
