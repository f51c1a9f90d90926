package registrator

import (
	"slices"
	"strings"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// This file is the only place that decides what is ours.

// instanceARN is the key of a service's Meta for its function's ARN, so that a
// service whose entry was deleted still says what it stands for. Consul takes
// letters, digits, - and _ alone in a key there (measured with 1.22.5), so it
// cannot be the key of the entry's Meta.
const instanceARN = "lambda-arn"

// isOurs reports whether a registrator made the service on our node, given the
// service-defaults entry of its name. It bears the mark, or it lost that, which
// is a drift to be repaired: then the entry bears it, and the service has no
// address, as none of ours has.
func (i Instance) isOurs(entry *Entry) bool {
	if !strings.EqualFold(i.ID, i.Service) {
		return false
	}
	return i.marked() || (entry.marked() && !i.Addressed)
}

// marked reports whether the service bears the mark. Only then may it be deleted.
func (i Instance) marked() bool { return slices.Contains(i.Tags, lambda.Mark) }

// standsFor reports whether the service is of this very function. If its entry then names
// one that another registrator would read, somebody changed that by hand, which is a drift
// to be repaired: a registrator writes both, and takes over nothing of another's.
func (i *Instance) standsFor(arn lambda.ARN) bool { return i != nil && i.marked() && i.arn() == arn }

// arn is the function that the service stands for; zero if it does not say.
func (i Instance) arn() lambda.ARN {
	arn, _ := lambda.ParseARN(i.Meta[instanceARN])
	return arn
}

// marked reports whether a registrator made the entry. Only then may it be
// deleted.
func (e *Entry) marked() bool { return e != nil && e.Meta[lambda.Mark] == "true" }

// arn is the function that the entry stands for; zero if it does not say.
func (e *Entry) arn() lambda.ARN {
	arn, _ := lambda.ParseARN(e.Meta[lambda.Prefix+lambda.KeyARN])
	return arn
}

// lostMark reports whether an entry without the mark was ours: the service of its
// name is, for this very function, and the entry says nothing to the contrary.
// Somebody wrote the entry anew; such a drift is repaired.
func (e *Entry) lostMark(instance *Instance, arn lambda.ARN) bool {
	if e.marked() || !instance.standsFor(arn) || e.hasLambdaExtension() {
		return false
	}
	said, ok := e.Meta[lambda.Prefix+lambda.KeyARN]
	return !ok || said == arn.String()
}

// ofConsulsRegistrator reports whether Consul's own registrator made the entry for
// this very function: the extension is all that it writes there, and its mark
// stands on the service. Where the catalog is hidden the ARN has to be enough.
func (e *Entry) ofConsulsRegistrator(arn lambda.ARN, ours *Instance, hidden bool) bool {
	return !e.marked() && e.extends(arn) && (hidden || (ours != nil && ours.marked()))
}

// handWritten reports whether somebody wrote Meta for this very function, as
// Consul's "Register Lambda Functions" tells them to, or Consul's extension.
func (e *Entry) handWritten(arn lambda.ARN) bool {
	if e.hasLambdaExtension() {
		return !e.marked() && e.extends(arn) && (e.arn().IsZero() || e.arn() == arn)
	}
	return !e.marked() && e.arn() == arn
}
