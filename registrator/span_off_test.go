package registrator

import (
	"testing"

	"go.opentelemetry.io/otel/trace/noop"
)

// Without a Tracer a step of a run costs nothing more.
func TestNoSpanIsFree(t *testing.T) {
	ctx, _ := noop.Tracer{}.Start(t.Context(), "run")
	if n := testing.AllocsPerRun(100, func() {
		_, span := child(ctx, "step")
		ended(span, nil)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
