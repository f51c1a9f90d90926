package registrator

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// Policy is a filter over the plan.
type Policy string

// The policies.
const (
	PolicySync       Policy = "sync"        // everything
	PolicyUpsertOnly Policy = "upsert-only" // never deletes
)

// The defaults of the flags.
const (
	DefaultSyncInterval   = 5 * time.Minute
	DefaultNodeName       = "lambdas"
	DefaultMaxDeleteRatio = 0.5
	DefaultLockTTL        = 15 * time.Second // Consul's own default for a lock
	DefaultAWSRate        = 5.0              // of the 15 requests/s that AWS gives an account and region for all who deploy there
)

// Config is what a Registrator needs. Consul and Regions must be given; the zero
// value of everything else is useful: its default, or where that is said the strictest value.
type Config struct {
	// Consul is the client to read and write with, its token and address set.
	Consul *api.Client

	// Regions are the regions to read, each with its clients; see LoadRegions. One
	// that cannot be read keeps its services and does not stop the others.
	Regions []Region

	// SyncInterval is the time between the starts of two full syncs.
	SyncInterval time.Duration

	// LockTTL is how long a replica that vanished keeps the lock; Consul may take twice
	// that. Consul takes nothing below its own session_ttl_min, which is 10 s by default.
	LockTTL time.Duration

	// NodeName is the Consul node that carries the services.
	NodeName string

	// Datacenter is compared with a function's datacenter tag. Empty: the only
	// datacenter that Consul knows; with several, functions with that tag are
	// skipped with this reason.
	Datacenter string

	// Partitions are the admin partitions of Consul Enterprise to keep, in all their
	// namespaces. None: Consul's community edition, where a function that is tagged with
	// a namespace or a partition is skipped.
	Partitions []string

	// Policy filters the plan; empty means PolicySync.
	Policy Policy

	// MaxDeleteRatio is the share of what is owned of an account and region that one
	// run may delete once it deletes more than 10 there; past it nothing is written at
	// all, be it of another account. Zero is the strictest: never more than 10. The
	// flag's default is DefaultMaxDeleteRatio.
	MaxDeleteRatio float64

	// Force goes past MaxDeleteRatio.
	Force bool

	// NoTimeouts leaves out reading each function's own timeout.
	NoTimeouts bool

	// Adopt takes over a hand-written entry whose Meta has the function's ARN;
	// otherwise it is a conflict.
	Adopt bool

	// KeepExtensions leaves Consul's own Lambda extension in the entries that are
	// adopted from Consul's own registrator; otherwise it is taken out.
	KeepExtensions bool

	// Lists are entries that are kept listing our services; see GatewayList and
	// ExportList. Lines of others, and a wildcard, stay as they are.
	Lists []List

	// Queue brings events, which Run handles; nil: there are none.
	Queue *Queue

	// Logger gets one line per thing that happened; nil means slog.Default.
	Logger *slog.Logger

	// Registerer gets the metrics; nil means none.
	Registerer prometheus.Registerer

	// Tracer gets a trace of each run and of each event; nil means none.
	Tracer trace.Tracer
}

func (c Config) withDefaults() Config {
	if c.SyncInterval == 0 {
		c.SyncInterval = DefaultSyncInterval
	}
	if c.LockTTL == 0 {
		c.LockTTL = DefaultLockTTL
	}
	if c.NodeName == "" {
		c.NodeName = DefaultNodeName
	}
	if c.Policy == "" {
		c.Policy = PolicySync
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Tracer == nil {
		c.Tracer = noop.Tracer{}
	}
	return c
}

// Validate names the first thing that cannot be, in the words of the flags.
func (c Config) Validate() error { return cmp.Or(c.ValidateSettings(), c.validateClients()) }

func (c Config) validateClients() error {
	seen := map[string]bool{}
	for _, r := range c.Regions {
		if r.Tagging == nil || r.Lambda == nil || r.Identity == nil {
			return fmt.Errorf("region %q has no AWS clients", r.Name)
		}
		if seen[r.String()] {
			return fmt.Errorf("--regions, --assume-role: %s stands there twice", r)
		}
		seen[r.String()] = true
	}
	switch {
	case c.Consul == nil:
		return errors.New("no Consul client")
	case len(c.Regions) == 0:
		return errors.New("--regions: no region to read")
	}
	return nil
}

// ValidateSettings is Validate for a Config without its clients.
func (c Config) ValidateSettings() error {
	for _, partition := range c.Partitions {
		if partition == "" {
			return errors.New("--partitions: a partition without a name")
		}
	}
	for _, list := range c.Lists {
		if err := list.validate(); err != nil {
			return err
		}
	}
	switch {
	case c.SyncInterval < 0:
		return fmt.Errorf("--sync-interval: %s is not a time to wait", c.SyncInterval)
	case c.LockTTL < 0:
		return fmt.Errorf("--lock-ttl: %s is not a time to live", c.LockTTL)
	case !(c.MaxDeleteRatio >= 0 && c.MaxDeleteRatio <= 1): // NaN is neither
		return fmt.Errorf("--max-delete-ratio: %g is not a share from 0 to 1", c.MaxDeleteRatio)
	case c.Policy != "" && c.Policy != PolicySync && c.Policy != PolicyUpsertOnly:
		return fmt.Errorf("--policy: %q is neither %s nor %s", c.Policy, PolicySync, PolicyUpsertOnly)
	}
	return nil
}
