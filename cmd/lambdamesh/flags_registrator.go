package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/lambdamesh/lambdamesh/internal/consul"
	"github.com/lambdamesh/lambdamesh/lambda"
	"github.com/lambdamesh/lambdamesh/registrator"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"
	"go.opentelemetry.io/otel/trace"
)

// registratorFlags say what is read of AWS, and what may be written to Consul.
type registratorFlags struct {
	interval       time.Duration
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
	flags.DurationVar(&f.interval, "sync-interval", registrator.DefaultSyncInterval, "time between full syncs")
	flags.StringVar(&f.nodeName, "node-name", registrator.DefaultNodeName, "Consul node that carries the services")
	flags.StringSliceVar(&f.regions, "regions", nil, "AWS regions to read, by commas (default AWS_REGION or the profile's)")
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
	flags.StringVar(&f.queueURL, "sqs-queue-url", "", "`URL` of an SQS queue with the events of functions from EventBridge, for a change within seconds")
	flags.BoolVar(&f.keepExtensions, "keep-envoy-extensions", false, "leave the Envoy extension builtin/aws/lambda in entries adopted from Consul's own registrator")
	flags.BoolVar(&f.force, "force", false, "go past --max-delete-ratio")
}

// open makes a Registrator. It reads AWS's configuration and talks to nobody.
func (f *registratorFlags) open(ctx context.Context, client *consul.Client, log *slog.Logger, metrics prometheus.Registerer, tracer trace.Tracer) (*registrator.Registrator, error) {
	options := registrator.AWSOptions{Regions: f.regions, Roles: f.roles, Rate: f.awsRate, Registerer: metrics}
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
	partitions := f.partitions
	switch {
	case len(partitions) > 0 && !f.enterprise:
		return nil, errors.New("--partitions: Consul has partitions with --enterprise alone")
	case len(partitions) == 0 && f.enterprise:
		partitions = []string{lambda.DefaultName}
	}
	var lists []registrator.List
	for _, name := range f.gateways {
		lists = append(lists, registrator.GatewayList(name))
	}
	for _, to := range f.exports {
		lists = append(lists, registrator.ExportList(to))
	}
	return registrator.New(registrator.Config{
		Consul:         client.API,
		Regions:        regions,
		SyncInterval:   f.interval,
		NodeName:       f.nodeName,
		Datacenter:     f.datacenter,
		Partitions:     partitions,
		Policy:         registrator.Policy(f.policy),
		MaxDeleteRatio: f.maxDeleteRatio,
		Force:          f.force,
		NoTimeouts:     !f.timeouts,
		Adopt:          f.adopt,
		KeepExtensions: f.keepExtensions,
		Lists:          lists,
		Queue:          queue,
		Logger:         log,
		Registerer:     metrics,
		Tracer:         tracer,
	})
}
