package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/smithy-go"
)

// action is one action of IAM, and what it is worth.
type action struct {
	name     string  // "tag:GetResources"
	where    string  // " in us-east-1", where there are several; else empty
	resource string  // that a rule names; empty: "*"
	without  Verdict // if it is not allowed
	cost     string  // of that
}

// try makes a call that needs the action, and notes what came of it.
func (a action) try(ctx context.Context, r *Report, call func(context.Context) error) (allowed bool) {
	err := r.ask(ctx, call)
	check := "aws right " + a.name + a.where
	switch {
	case err == nil:
		r.add(check, OK, "allowed", "")
	case denied(err):
		if a.resource == "" {
			a.resource = "*"
		}
		f := r.add(check, a.without, reason(err), a.cost+"; allow it in the IAM policy")
		f.Rule, f.policy = fmt.Sprintf(`{"Effect": "Allow", "Action": %q, "Resource": %q}`, a.name, a.resource), iamPolicy
	default:
		r.add(check, a.without, reason(err), "this is no matter of rights; "+a.cost)
	}
	return err == nil
}

// skip notes that the action could not be tried.
func (a action) skip(r *Report, why, next string) {
	r.add("aws right "+a.name+a.where, Skip, why, next)
}

// denied reports whether AWS refused a call for want of a right. Services differ in the
// code: AccessDeniedException (Lambda, SSM, tagging), AccessDenied (STS, SQS).
func denied(err error) bool {
	var said smithy.APIError
	return errors.As(err, &said) && strings.Contains(said.ErrorCode(), "AccessDenied")
}

// reason is what AWS says, without the SDK's words around it.
func reason(err error) string {
	var said smithy.APIError
	if errors.As(err, &said) {
		return said.ErrorCode() + ": " + said.ErrorMessage()
	}
	return err.Error()
}
