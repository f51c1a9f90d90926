package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/lambdamesh/lambdamesh/internal/consul"
	"github.com/lambdamesh/lambdamesh/lambda"
	"github.com/lambdamesh/lambdamesh/registrator"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"
	"go.opentelemetry.io/otel/trace"
)

// Flags that may change while the registrator runs.
const (
	flagSyncInterval = "sync-interval"
	flagRegions      = "regions"
)

const flagQueueURL = "sqs-queue-url"

// registratorFlags say what is read of AWS, and what may be written to Consul.
type registratorFlags struct {
	interval       time.Duration
	lockTTL        time.Duration
	nodeName       string
	regions        []string
	roles          roles
	datacenter     string
	enterprise     bool
	partitions     []string
	policy         string
	maxDeleteRatio float64
	timeouts       bool
	awsRate        float64
	adopt          bool
	force          bool
	keepExtensions bool
	gateways       []string
	exports        []string
	queueURL       string
}

func (f *registratorFlags) declare(flags *pflag.FlagSet) {
	flags.DurationVar(&f.interval, flagSyncInterval, registrator.DefaultSyncInterval, "time between full syncs")
	flags.DurationVar(&f.lockTTL, "lock-ttl", registrator.DefaultLockTTL, "how long a replica that vanished keeps the lock; Consul may take twice that, and wants at least 10s")
	flags.StringVar(&f.nodeName, "node-name", registrator.DefaultNodeName, "Consul node that carries the services")
	flags.StringSliceVar(&f.regions, flagRegions, nil, "AWS regions to read, by commas (default AWS_REGION or the profile's)")
	flags.Var(&f.roles, "assume-role", "`ARN[,EXTERNAL-ID]` of a role of a further account to read; may be repeated")
	flags.StringVar(&f.datacenter, "datacenter", "", "take only functions whose datacenter tag, if any, is this (default Consul's only datacenter)")
	flags.BoolVar(&f.enterprise, "enterprise", false, "Consul is Consul Enterprise: heed the namespace and partition tags of functions")
	flags.StringSliceVar(&f.partitions, "partitions", nil, "with --enterprise, the admin partitions to keep, by commas; functions tagged for another are skipped (default \"default\"). serve reads Meta of these (default CONSUL_PARTITION)")
	choiceVar(flags, &f.policy, "policy", "what a sync may do; upsert-only never deletes",
		string(registrator.PolicySync), string(registrator.PolicyUpsertOnly))
	flags.Float64Var(&f.maxDeleteRatio, "max-delete-ratio", registrator.DefaultMaxDeleteRatio, "share of what is owned of an account and region that one sync of more than 10 deletions there may delete")
	flags.BoolVar(&f.timeouts, "timeouts", true, "read each function's timeout into its Meta")
	flags.Float64Var(&f.awsRate, "aws-rate", registrator.DefaultAWSRate, "Lambda control-plane requests per second, bursts of five times that")
	flags.BoolVar(&f.adopt, "adopt", false, "take over hand-written Meta with the same ARN")
	flags.StringSliceVar(&f.gateways, "terminating-gateway", nil, "keep the entry of this terminating gateway listing the functions' services; may be repeated")
	flags.StringSliceVar(&f.exports, "export-to", nil, "keep exported-services listing the functions' services for this `PARTITION` or peer:NAME; may be repeated")
	flags.StringVar(&f.queueURL, flagQueueURL, "", "`URL` of an SQS queue with the events of functions from EventBridge, for a change within seconds")
	flags.BoolVar(&f.keepExtensions, "keep-envoy-extensions", false, "leave the Envoy extension builtin/aws/lambda in entries adopted from Consul's own registrator")
	flags.BoolVar(&f.force, "force", false, "go past --max-delete-ratio")
}

// validate is of what needs no client. A Config takes zero for a default; whoever writes
// it as a flag means something else.
func (f *registratorFlags) validate() error {
	switch {
	case f.interval == 0:
		return errors.New("--sync-interval: 0s is not a time to wait")
	case f.awsRate == 0:
		return errors.New("--aws-rate: 0 is not a number of requests per second")
	}
	return f.settings().ValidateSettings()
}

// open makes a Registrator. It reads AWS's configuration and talks to nobody.
func (f *registratorFlags) open(ctx context.Context, client *consul.Client, log *slog.Logger, metrics prometheus.Registerer, tracer trace.Tracer) (*registrator.Registrator, error) {
	if err := f.validate(); err != nil {
		return nil, err
	}
	options := f.aws(metrics)
	regions, err := registrator.LoadRegions(ctx, options)
	if err != nil {
		return nil, err
	}
	var queue *registrator.Queue
	if f.queueURL != "" {
		if queue, err = registrator.LoadQueue(ctx, f.queueURL, options); err != nil {
			return nil, err
		}
	}
	config := f.settings()
	switch {
	case len(config.Partitions) > 0 && !f.enterprise:
		return nil, errors.New("--partitions: Consul has partitions with --enterprise alone")
	case len(config.Partitions) == 0 && f.enterprise:
		config.Partitions = []string{lambda.DefaultName}
	}
	config.Consul, config.Regions, config.Queue = client.API, regions, queue
	config.Logger, config.Registerer, config.Tracer = log, metrics, tracer
	return registrator.New(config)
}

func (f *registratorFlags) aws(metrics prometheus.Registerer) registrator.AWSOptions {
	return registrator.AWSOptions{Regions: f.regions, Roles: f.roles, Rate: f.awsRate, Registerer: metrics}
}

// settings are the flags as a Config, without its clients.
func (f *registratorFlags) settings() registrator.Config {
	var lists []registrator.List
	for _, name := range f.gateways {
		lists = append(lists, registrator.GatewayList(name))
	}
	for _, to := range f.exports {
		lists = append(lists, registrator.ExportList(to))
	}
	return registrator.Config{
		SyncInterval:   f.interval,
		LockTTL:        f.lockTTL,
		NodeName:       f.nodeName,
		Datacenter:     f.datacenter,
		Partitions:     f.partitions,
		Policy:         registrator.Policy(f.policy),
		MaxDeleteRatio: f.maxDeleteRatio,
		Force:          f.force,
		NoTimeouts:     !f.timeouts,
		Adopt:          f.adopt,
		KeepExtensions: f.keepExtensions,
		Lists:          lists,
	}
}

// adjust is a reloader's, for a registrator that open made.
func (f *registratorFlags) adjust(ctx context.Context, r *registrator.Registrator, log *slog.Logger, metrics prometheus.Registerer) func(*registratorFlags, []string) error {
	return func(next *registratorFlags, names []string) error {
		with := *f
		var settings registrator.Settings
		if slices.Contains(names, flagSyncInterval) {
			with.interval = cmp.Or(next.interval, registrator.DefaultSyncInterval)
			settings.SyncInterval = with.interval
		}
		if slices.Contains(names, flagRegions) {
			with.regions = next.regions
			var err error
			if settings.Regions, err = registrator.LoadRegions(ctx, with.aws(metrics)); err != nil {
				return err
			}
		}
		if err := r.Set(settings); err != nil {
			return err
		}
		for _, name := range names {
			switch name {
			case flagSyncInterval:
				log.Info("the sync interval is another", "was", f.interval.String(), "is", with.interval.String())
			case flagRegions:
				log.Info("the regions are others, they are read now", "was", f.regions, "is", with.regions)
			}
		}
		*f = with
		return nil
	}
}
