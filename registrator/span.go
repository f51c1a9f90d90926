package registrator

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// The attributes of spans, beside those of OpenTelemetry's semantic conventions
// (cloud.*, rpc.*, http.*). No other is used: a request's own fields may be secrets.
const (
	keyService   = attribute.Key("lambdamesh.service")
	keyServices  = attribute.Key("lambdamesh.services")
	keyARN       = attribute.Key("lambdamesh.arn")
	keyEvent     = attribute.Key("lambdamesh.event")
	keyEntry     = attribute.Key("lambdamesh.config_entry")
	keyFunctions = attribute.Key("lambdamesh.functions")
	keyPlanned   = attribute.Key("lambdamesh.changes_planned")
	keyMade      = attribute.Key("lambdamesh.changes_made")
	keyRegion    = attribute.Key("cloud.region")
	keyAccount   = attribute.Key("cloud.account.id")
)

// tracerName is the scope of the spans of this package.
const tracerName = "github.com/lambdamesh/lambdamesh/registrator"

// child begins a span within that of ctx, and where there is none that is recorded,
// nothing.
func child(ctx context.Context, name string, attributes ...attribute.KeyValue) (context.Context, trace.Span) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, trace.SpanFromContext(context.Background())
	}
	return parent.TracerProvider().Tracer(tracerName).Start(ctx, name, trace.WithAttributes(attributes...))
}

// ended ends a span with what became of it.
func ended(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	span.End()
}

// work begins the span of a run or of an event. It is the root of a trace, or in that of
// whoever asks for it.
func (r *Registrator) work(ctx context.Context, name string, attributes ...attribute.KeyValue) (context.Context, trace.Span) {
	return r.config.Tracer.Start(ctx, name, trace.WithAttributes(attributes...))
}

// finished ends the span of a run with what it came to, and returns its error.
func finished(span trace.Span, result Result, err error) error {
	span.SetAttributes(
		keyFunctions.Int(result.Functions), keyPlanned.Int(len(result.Plan.Changes)), keyMade.Int(result.Applied))
	ended(span, err)
	if err == nil || !span.SpanContext().IsValid() {
		return err
	}
	return &tracedError{err, span.SpanContext()}
}

// tracedError is the error of a run that is traced.
type tracedError struct {
	error
	in trace.SpanContext
}

// Unwrap gives the error itself.
func (e *tracedError) Unwrap() error { return e.error }

// InTraceOf is ctx within the trace of the run that ended with this error, if it was
// traced: for the line of the log that tells of it.
func InTraceOf(ctx context.Context, err error) context.Context {
	var traced *tracedError
	if errors.As(err, &traced) {
		return trace.ContextWithSpanContext(ctx, traced.in)
	}
	return ctx
}

// ofFunction says which function it is.
func ofFunction(arn lambda.ARN) []attribute.KeyValue {
	if arn.IsZero() {
		return nil
	}
	return []attribute.KeyValue{keyARN.String(arn.String()), keyRegion.String(arn.Region), keyAccount.String(arn.Account)}
}

// traceCalls is the option of AWS's clients by which each call within a span is a span,
// with all its attempts.
func traceCalls(stack *middleware.Stack) error {
	// After the SDK's own, which say in the context what is called.
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("LambdameshSpan", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		if !trace.SpanFromContext(ctx).IsRecording() {
			return next.HandleInitialize(ctx, in)
		}
		service, operation := awsmiddleware.GetServiceID(ctx), awsmiddleware.GetOperationName(ctx)
		ctx, span := child(ctx, service+"."+operation,
			attribute.String("rpc.system", "aws-api"), attribute.String("rpc.service", service), attribute.String("rpc.method", operation),
			keyRegion.String(awsmiddleware.GetRegion(ctx)))
		if arn, err := lambda.ParseARN(asked(in.Parameters)); err == nil {
			span.SetAttributes(ofFunction(arn)...)
		}
		out, metadata, err := next.HandleInitialize(ctx, in)
		if response, ok := awsmiddleware.GetRawResponse(metadata).(*smithyhttp.Response); ok {
			span.SetAttributes(attribute.Int("http.response.status_code", response.StatusCode))
		}
		if id, ok := awsmiddleware.GetRequestIDMetadata(metadata); ok {
			span.SetAttributes(attribute.String("aws.request_id", id))
		}
		ended(span, err)
		return out, metadata, err
	}), middleware.After)
}

// asked is the ARN of the function that a call is about, if it is about one.
func asked(call any) string {
	switch in := call.(type) {
	case *awslambda.ListTagsInput:
		return aws.ToString(in.Resource)
	case *awslambda.GetFunctionConfigurationInput:
		return aws.ToString(in.FunctionName)
	}
	return ""
}
