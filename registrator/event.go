package registrator

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// Event is what an event of EventBridge means to a registrator. It only says where
// to look, and never what to do: whatever was done again, came late, out of turn or
// not at all, a look finds what is now.
type Event struct {
	Kind      EventKind
	Functions []lambda.ARN // to look at: whole and without a qualifier
	Reason    string       // why nothing is to be done
	At        time.Time    // when it happened; zero if it does not say
}

// EventKind is what is to be done for an event.
type EventKind string

// The kinds of events.
const (
	EventLook    EventKind = "look"    // at the functions
	EventSync    EventKind = "sync"    // everything
	EventNothing EventKind = "nothing" // it is none of ours, or nothing happened
)

// ParseEvent reads an event as EventBridge delivers it:
//
//   - "Scheduled Event": full sync.
//   - "AWS API Call via CloudTrail" of Lambda: look at the function of the call, if
//     the call changes what a registrator reads, and succeeded.
//   - "Tag Change on Resource" of a function: look at it.
//
// All others are nothing. An error is an event of these that cannot be read.
func ParseEvent(data []byte) (Event, error) {
	var envelope struct {
		Source     string
		DetailType string `json:"detail-type"`
		Account    string
		Region     string
		Time       time.Time
		Resources  []string
		Detail     json.RawMessage
	}
	if err := json.Unmarshal(data, &envelope); err != nil {
		return Event{}, fmt.Errorf("this is no event of EventBridge: %w", err)
	}
	event := Event{At: envelope.Time}
	var err error
	switch {
	case envelope.DetailType == "":
		err = errors.New("this is no event of EventBridge: it has no detail-type")
	case envelope.DetailType == "Scheduled Event":
		event.Kind = EventSync
	case envelope.Source == "aws.lambda" && envelope.DetailType == "AWS API Call via CloudTrail":
		var call apiCall
		if err = json.Unmarshal(envelope.Detail, &call); err == nil {
			call.RecipientAccountID = cmp.Or(envelope.Account, call.RecipientAccountID)
			call.AWSRegion = cmp.Or(call.AWSRegion, envelope.Region)
			err = event.readCall(call)
		}
	case envelope.Source == "aws.tag" && envelope.DetailType == "Tag Change on Resource":
		var change tagChange
		if err = json.Unmarshal(envelope.Detail, &change); err == nil {
			err = event.readTagChange(change, envelope.Resources)
		}
	default:
		event.nothing("%q of %q is nothing that a registrator follows", envelope.DetailType, envelope.Source)
	}
	if err != nil {
		return Event{}, fmt.Errorf("reading an event %q of %q: %w", envelope.DetailType, envelope.Source, err)
	}
	return event, nil
}

func (e *Event) nothing(format string, args ...any) {
	e.Kind, e.Reason = EventNothing, fmt.Sprintf(format, args...)
}

func (e *Event) look(arn lambda.ARN) {
	e.Kind = EventLook
	if !slices.Contains(e.Functions, arn.Unqualified()) {
		e.Functions = append(e.Functions, arn.Unqualified())
	}
}

// apiCall is what CloudTrail says of a call.
type apiCall struct {
	EventSource        string
	EventName          string
	ErrorCode          string
	AWSRegion          string
	RecipientAccountID string
	UserIdentity       struct{ ARN string }
	RequestParameters  struct {
		Resource     string // of the calls for tags: an ARN
		FunctionName string // of all others: in any form that Lambda's API takes
		Tags         map[string]json.RawMessage
		TagKeys      []string
	}
	ResponseElements struct{ FunctionARN string }
}

// followed are the calls that change what a registrator reads.
var followed = []string{
	"CreateFunction", "DeleteFunction", "UpdateFunctionConfiguration",
	"TagResource", "UntagResource",
	"CreateAlias", "UpdateAlias", "DeleteAlias",
	"CreateFunctionUrlConfig", "DeleteFunctionUrlConfig",
}

// dated is how CloudTrail ends the names of Lambda's calls: with the version of the
// API, as in TagResource20170331v2.
var dated = regexp.MustCompile(`20[0-9]{6}(v[0-9]+)?$`)

func (e *Event) readCall(call apiCall) error {
	name := dated.ReplaceAllString(call.EventName, "")
	in := call.RequestParameters
	keys := in.TagKeys
	for key := range in.Tags {
		keys = append(keys, key)
	}
	switch {
	case name == "":
		return errors.New("it names no call")
	case call.EventSource != "" && call.EventSource != "lambda.amazonaws.com":
		e.nothing("%s is a call of %s", name, call.EventSource)
		return nil
	case !slices.Contains(followed, name):
		e.nothing("%s changes nothing that a registrator reads", name)
		return nil
	case call.ErrorCode != "":
		e.nothing("%s failed (%s), so nothing changed", name, call.ErrorCode)
		return nil
	case in.Resource != "" && !isFunction(in.Resource):
		e.nothing("%s is of another thing than a function", name)
		return nil
	case in.Resource != "" && noneOfOurs(keys):
		e.nothing("%s is of tags of others", name)
		return nil
	}
	function := cmp.Or(in.Resource, call.ResponseElements.FunctionARN, in.FunctionName)
	if function == "" {
		return fmt.Errorf("%s names no function", name)
	}
	arn, err := call.resolve(function)
	if err != nil {
		return err
	}
	e.look(arn)
	return nil
}

// reference is every form in which Lambda's API takes the name of a function (its
// reference, FunctionName): an ARN of which any part before the name may be missing.
var reference = regexp.MustCompile(`^(?:arn:([^:]+):lambda:)?(?:([a-z]+(?:-[a-z]+)+-[0-9]+):)?(?:([0-9]{12}):)?(?:function:)?([^:]+)(?::([^:]+))?$`)

// resolve makes the ARN of a function out of any form of its name. What the name
// leaves out the call says; of the partition it does so by the ARN of its caller,
// which calls of AWS's own services lack: then it is "aws".
func (c apiCall) resolve(name string) (lambda.ARN, error) {
	parts := reference.FindStringSubmatch(name)
	if parts == nil {
		return lambda.ARN{}, fmt.Errorf("%q is not the name of a function", name)
	}
	partition := "aws"
	if caller := strings.Split(c.UserIdentity.ARN, ":"); len(caller) > 1 && caller[0] == "arn" {
		partition = caller[1]
	}
	arn := lambda.ARN{
		Partition: cmp.Or(parts[1], partition),
		Region:    cmp.Or(parts[2], c.AWSRegion),
		Account:   cmp.Or(parts[3], c.RecipientAccountID),
		Name:      parts[4],
	}
	return lambda.ParseARN(arn.String())
}

// tagChange is what the tagging service says.
type tagChange struct {
	Service      string
	ResourceType string   `json:"resource-type"`
	Keys         []string `json:"changed-tag-keys"`
}

func (e *Event) readTagChange(change tagChange, resources []string) error {
	switch {
	case change.Service != "lambda" || change.ResourceType != "function":
		e.nothing("the tags are those of a %s of %s", change.ResourceType, change.Service)
		return nil
	case noneOfOurs(change.Keys):
		e.nothing("the tags are of others")
		return nil
	case len(resources) == 0:
		return errors.New("it names no function")
	}
	for _, resource := range resources {
		arn, err := lambda.ParseARN(resource)
		if err != nil {
			return err
		}
		e.look(arn)
	}
	return nil
}

// noneOfOurs reports that these are keys of tags and none of them matters. It is the
// one thing that an event is believed in: where thousands of functions get a tag of
// others, no call is spent on each.
func noneOfOurs(keys []string) bool {
	return len(keys) > 0 && !slices.ContainsFunc(keys, lambda.IsTag)
}

// isFunction reports whether the ARN is one of a function, and not of another thing
// that Lambda has tags for.
func isFunction(arn string) bool {
	parts := strings.Split(arn, ":")
	return parts[0] != "arn" || len(parts) > 5 && parts[5] == "function"
}
