package registrator

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
)

func TestConfigValidate(t *testing.T) {
	fake := StartFakeAWS(t)
	for _, test := range []struct {
		name   string
		change func(*Config)
		want   string // in the error; empty for none
	}{
		{"defaults", func(*Config) {}, ""},
		{"no Consul", func(c *Config) { c.Consul = nil }, "no Consul client"},
		{"no region", func(c *Config) { c.Regions = nil }, "--regions"},
		{"a region twice", func(c *Config) { c.Regions = append(c.Regions, c.Regions...) }, "us-east-1 stands there twice"},
		{"a region without clients", func(c *Config) { c.Regions = []Region{{Name: "r"}} }, "no AWS clients"},
		{"negative time to live", func(c *Config) { c.LockTTL = -time.Second }, "--lock-ttl"},
		{"negative interval", func(c *Config) { c.SyncInterval = -time.Second }, "--sync-interval"},
		{"share above one", func(c *Config) { c.MaxDeleteRatio = 1.5 }, "--max-delete-ratio"},
		{"share that is no number", func(c *Config) { c.MaxDeleteRatio = math.NaN() }, "--max-delete-ratio"},
		{"unknown policy", func(c *Config) { c.Policy = "delete-all" }, "--policy"},
	} {
		config := Config{Consul: new(api.Client), Regions: fake.Regions(t, nil)}
		test.change(&config)
		_, err := New(config)
		if (err == nil) != (test.want == "") || (err != nil && !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: error %v, want one with %q", test.name, err, test.want)
		}
	}
}
