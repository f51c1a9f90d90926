package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/smithy-go/logging"
	"github.com/hashicorp/consul/api"

	"github.com/lambdamesh/lambdamesh/internal/consul"
	"github.com/lambdamesh/lambdamesh/internal/logs"
	"github.com/lambdamesh/lambdamesh/internal/traces"
	"github.com/lambdamesh/lambdamesh/registrator"
)

// handler handles the invocations of one execution environment, which AWS Lambda
// makes one after the other.
type handler struct {
	settings settings
	log      *slog.Logger
	traces   *traces.Traces
	store    parameterStore
	regions  []registrator.Region

	mu          sync.Mutex // held by an invocation
	secrets     secrets
	client      *consul.Client
	registrator *registrator.Registrator // nil: not made yet
}

// open makes a handler. It reads the environment and talks to nobody.
func open(ctx context.Context, lookup func(string) (string, bool)) (*handler, error) {
	s, err := readSettings(lookup)
	if err != nil {
		return nil, err
	}
	regions, err := registrator.LoadRegions(ctx, registrator.AWSOptions{PageSize: s.pageSize})
	if err != nil {
		return nil, err
	}
	base, err := config.LoadDefaultConfig(ctx, config.WithLogger(logging.Nop{})) // as LoadRegions
	if err != nil {
		return nil, fmt.Errorf("reading the AWS configuration: %w", err)
	}
	log := logs.New(os.Stderr, logs.JSON, s.logLevel)
	logs.Libraries(log)
	log.Info("registrator starts", "settings", s.String())
	sent := traces.Open(ctx, "lambda-registrator", os.Getenv("AWS_LAMBDA_FUNCTION_VERSION"), log)
	return &handler{settings: s, log: log, traces: sent, store: ssm.NewFromConfig(base), regions: regions}, nil
}

// answer is what an invocation that went well returns, for whoever invokes by hand.
type answer struct {
	Event     registrator.EventKind `json:"event"`
	Reason    string                `json:"reason,omitempty"` // why nothing was to be done
	Functions int                   `json:"functions"`        // that AWS has, or were looked at
	Changes   int                   `json:"changes"`          // made in Consul
}

// handle handles an event of EventBridge. An error has AWS Lambda invoke it again,
// twice by default, and then hand the event to the dead-letter queue if there is one.
func (h *handler) handle(ctx context.Context, data json.RawMessage) (answer, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	defer h.traces.Flush(ctx) // the environment may be frozen next
	event, err := registrator.ParseEvent(data)
	if err != nil {
		h.log.Error("failed", "error", err.Error())
		return answer{}, err
	}
	did := answer{Event: event.Kind, Reason: event.Reason}
	if event.Kind == registrator.EventNothing {
		h.log.Debug("nothing to do", "reason", event.Reason)
		return did, nil
	}
	ctx, cancel := beforeDeadline(ctx)
	defer cancel()
	result, err := h.try(ctx, event)
	if isRefusal(err) {
		renewed, failure := h.renew(ctx)
		switch {
		case failure != nil:
			err = errors.Join(err, failure)
		case renewed:
			h.log.Info("Consul refused us; the token or its authority has changed in Parameter Store, so it is tried again", "error", err.Error())
			result, err = h.try(ctx, event)
		}
	}
	did.Functions, did.Changes = result.Functions, result.Applied
	if errors.Is(context.Cause(ctx), errDeadline) {
		h.log.Warn("stopped before AWS Lambda's deadline; the next run goes on",
			"changes_made", result.Applied, "changes_planned", len(result.Plan.Changes), "functions", result.Functions)
	}
	if err != nil {
		h.log.ErrorContext(registrator.InTraceOf(ctx, err), "failed", "event", event.Kind, "error", err.Error())
	}
	return did, err
}

// try does what the event asks for, with the secrets that we have.
func (h *handler) try(ctx context.Context, event registrator.Event) (registrator.Result, error) {
	if h.registrator == nil {
		found, err := h.settings.readSecrets(ctx, h.store)
		if err != nil {
			return registrator.Result{}, err
		}
		if err := h.use(found); err != nil {
			return registrator.Result{}, err
		}
	}
	return h.registrator.Handle(ctx, event)
}

// renew reads the secrets again and reports whether they have changed.
func (h *handler) renew(ctx context.Context) (bool, error) {
	found, err := h.settings.readSecrets(ctx, h.store)
	if err != nil || found == h.secrets {
		return false, err
	}
	return true, h.use(found)
}

// use makes the registrator anew.
func (h *handler) use(found secrets) error {
	client, err := consul.NewClient(consul.ClientConfig{Token: found.token, CA: []byte(found.ca)})
	if err != nil {
		return err
	}
	c := h.settings.config()
	c.Consul, c.Regions, c.Logger, c.Tracer = client.API, h.regions, h.log, h.traces.Tracer()
	r, err := registrator.New(c)
	if err != nil {
		return err
	}
	if h.client != nil {
		h.client.Close()
	}
	h.secrets, h.client, h.registrator = found, client, r
	return nil
}

// isRefusal reports that Consul does not know our token, or that we do not know who
// signed its certificate.
func isRefusal(err error) bool {
	var status api.StatusError
	var certificate *tls.CertificateVerificationError
	return errors.As(err, &status) && status.Code == http.StatusForbidden || errors.As(err, &certificate)
}

// errDeadline ends a run shortly before AWS Lambda would.
var errDeadline = errors.New("AWS Lambda's deadline is near")

// most is how long before the deadline a run is ended at the most: then it has time to
// say how far it came. Of short timeouts it is a tenth.
const most = 3 * time.Second

func beforeDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadlineCause(ctx, deadline.Add(-min(most, time.Until(deadline)/10)), errDeadline)
}
