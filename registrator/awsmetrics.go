package registrator

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/prometheus/client_golang/prometheus"
)

// requestCounter counts requests to AWS as they go over the wire: a call that
// was tried three times counts three.
type requestCounter struct {
	total *prometheus.CounterVec
}

func newRequestCounter(registerer prometheus.Registerer) (*requestCounter, error) {
	c := &requestCounter{total: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "lambdamesh_aws_requests_total",
		Help: "Requests to AWS, by operation and HTTP status; code is error where no answer came.",
	}, []string{"operation", "code"})}
	if registerer != nil {
		err := registerer.Register(c.total)
		var already prometheus.AlreadyRegisteredError
		if errors.As(err, &already) { // by the clients of something else
			c.total, err = already.ExistingCollector.(*prometheus.CounterVec), nil
		}
		if err != nil {
			return nil, fmt.Errorf("registering metrics: %w", err)
		}
	}
	return c, nil
}

// apiOptions puts the counter into the deserialize step, which runs once per
// attempt.
func (c *requestCounter) apiOptions() []func(*middleware.Stack) error {
	return []func(*middleware.Stack) error{func(stack *middleware.Stack) error {
		return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("LambdameshRequestCounter", c.count), middleware.After)
	}}
}

func (c *requestCounter) count(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
	out, metadata, err := next.HandleDeserialize(ctx, in)
	code := "error"
	if response, ok := out.RawResponse.(*smithyhttp.Response); ok && response != nil {
		code = strconv.Itoa(response.StatusCode)
	}
	c.total.WithLabelValues(middleware.GetOperationName(ctx), code).Inc()
	return out, metadata, err
}
