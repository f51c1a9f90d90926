package registrator

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// What is logged of a conflict, and of a function that is passed over.
const (
	conflictText = "a conflict: nothing is done for a service, a person must decide"
	skippedText  = "a function is skipped"
)

// saySkippedLocked logs what a person must see to.
func (r *Registrator) saySkippedLocked(ctx context.Context, plan Plan) {
	for _, skip := range plan.Skipped {
		if !skip.expected {
			r.troubleLocked(ctx, skippedText, skip.logged()...)
		}
	}
}

// logged are the attributes of a log line about a function.
func logged(arn lambda.ARN) []any {
	if arn.IsZero() {
		return nil
	}
	return []any{"arn", arn.String(), "region", arn.Region}
}

// logged are the attributes of a log line about it.
func (s Skip) logged() []any {
	arn, err := lambda.ParseARN(s.Function)
	if err != nil {
		return []any{"service", s.Function, "reason", s.Reason}
	}
	return append(logged(arn), "reason", s.Reason)
}

// troubleLocked logs a conflict or a skip that was not there in the run before.
func (r *Registrator) troubleLocked(ctx context.Context, text string, attributes ...any) {
	if key := troubleKey(text, attributes); !r.troubles[key] {
		r.troubles[key] = true
		r.config.Logger.WarnContext(ctx, text, attributes...)
	}
}

func troubleKey(text string, attributes []any) string {
	return fmt.Sprint(append([]any{text}, attributes...)...)
}

// settleLocked forgets the conflicts and skips that a whole plan no longer has: if they
// come again, they are said again.
func (r *Registrator) settleLocked(plan Plan) {
	stand := map[string]bool{}
	for _, change := range plan.Changes {
		if change.Kind == KindConflict {
			stand[troubleKey(conflictText, []any{"service", change.name(), "reason", change.Reason})] = true
		}
	}
	for _, skip := range plan.Skipped {
		stand[troubleKey(skippedText, skip.logged())] = true
	}
	maps.DeleteFunc(r.troubles, func(key string, _ bool) bool { return !stand[key] })
}

// sayLocked logs what was not said before.
func (r *Registrator) sayLocked(ctx context.Context, level slog.Level, lists ...[]string) {
	for _, text := range slices.Concat(lists...) {
		if !r.said[text] {
			r.said[text] = true
			r.config.Logger.Log(ctx, level, text)
		}
	}
}
