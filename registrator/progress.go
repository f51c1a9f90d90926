package registrator

import "context"

// Progress is a step of a run.
type Progress struct {
	Stage Stage
	Done  int // more that are done
	Total int // of so many; 0: not known yet
}

// Stage is what a run does.
type Stage string

// The stages, in their order.
const (
	StageReading    Stage = "reading functions from AWS"
	StageConfirming Stage = "asking AWS about what is to go"
	StageWriting    Stage = "writing to Consul"
)

type progressKey struct{}

// WithProgress has a run that gets this context tell of each step, from several
// goroutines. What it calls must be quick.
func WithProgress(ctx context.Context, tell func(Progress)) context.Context {
	return context.WithValue(ctx, progressKey{}, tell)
}

// advance tells of a step.
func advance(ctx context.Context, stage Stage, done, total int) {
	if tell, ok := ctx.Value(progressKey{}).(func(Progress)); ok {
		tell(Progress{Stage: stage, Done: done, Total: total})
	}
}
