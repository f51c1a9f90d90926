package registrator

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/aws/aws-sdk-go-v2/aws"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// presence is whether a function exists. Only absence, and tags that were read,
// take a service away.
type presence int

const (
	unknown presence = iota // AWS did not answer, or refused to
	present
	absent // proven: AWS says ResourceNotFoundException
)

// sighting is what AWS says of one function.
type sighting struct {
	presence presence
	tags     map[string]string // those of our vocabulary, if it is present; never nil then
	err      error             // why that is unknown
}

// look asks AWS about a function, by its full ARN: a name alone would be looked up
// in whichever account the credentials are of.
func look(ctx context.Context, region Region, arn lambda.ARN) sighting {
	arn = arn.Unqualified()
	out, err := region.Lambda.ListTags(ctx, &awslambda.ListTagsInput{Resource: aws.String(arn.String())})
	var missing *types.ResourceNotFoundException
	switch {
	case errors.As(err, &missing):
		return sighting{presence: absent}
	case err != nil:
		return sighting{err: fmt.Errorf("reading the tags of %s: %w", arn, err)}
	case out.Tags == nil:
		return sighting{presence: present, tags: map[string]string{}}
	}
	maps.DeleteFunc(out.Tags, func(key, _ string) bool { return !lambda.IsTag(key) })
	return sighting{presence: present, tags: out.Tags}
}
