package registrator

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"golang.org/x/sync/errgroup"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// parallelTags is how many ListTags are under way at once; the limiter sets the
// pace, this only hides the time that an answer takes.
const parallelTags = 8

// tagsKept is how long tags are used that a listing read which was then cut off, beside
// twice the time that the whole of it takes.
const tagsKept = time.Hour

// oneByOne lists the functions of a region where the tagging API is denied. It remembers
// the tags that a listing read which was cut off, by AWS or by the end of its run: the
// next one goes on there. AWS Lambda gives a run 15 minutes, in which the default rate
// reads 4,500 functions. The zero value remembers none.
type oneByOne struct {
	mu   sync.Mutex // guards read
	read map[lambda.ARN]tagsRead
}

// tagsRead are tags as they were at a time.
type tagsRead struct {
	tags map[string]string
	at   time.Time
}

// list lists functions, with their timeouts: a call for each function's tags. A function
// deleted between the two calls is left out.
func (o *oneByOne) list(ctx context.Context, now time.Time, region Region) ([]Listed, error) {
	var listed []Listed
	err := eachFunction(ctx, region, func(function types.FunctionConfiguration) error {
		arn, err := lambda.ParseARN(aws.ToString(function.FunctionArn))
		listed = append(listed, Listed{ARN: arn.Unqualified(), Timeout: timeoutOf(function)})
		return err
	})
	if err != nil {
		return nil, err
	}
	oldest := now.Add(-tagsKept - 2*oneByOneTakes(len(listed), cmp.Or(region.rate, DefaultAWSRate)))
	group, bound := errgroup.WithContext(ctx)
	group.SetLimit(parallelTags)
	for i := range listed {
		if listed[i].Tags = o.known(listed[i].ARN, oldest); listed[i].Tags != nil {
			continue
		}
		group.Go(func() error {
			seen := look(bound, region, listed[i].ARN)
			listed[i].Tags = seen.tags
			if seen.presence == present {
				o.remember(listed[i].ARN, tagsRead{seen.tags, now})
			}
			return seen.err
		})
	}
	if err := group.Wait(); err != nil {
		read := len(listed) - len(slices.DeleteFunc(slices.Clone(listed), func(f Listed) bool { return f.Tags != nil }))
		return nil, fmt.Errorf("the tags of %d of %d functions are read, and the next run goes on with the others: %w", read, len(listed), err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.read = nil
	return slices.DeleteFunc(listed, func(f Listed) bool { return f.Tags == nil }), nil
}

// known are the tags of a function, if they were read since.
func (o *oneByOne) known(arn lambda.ARN, since time.Time) map[string]string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if read := o.read[arn]; !read.at.Before(since) {
		return read.tags
	}
	return nil
}

func (o *oneByOne) remember(arn lambda.ARN, read tagsRead) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.read == nil {
		o.read = map[lambda.ARN]tagsRead{}
	}
	o.read[arn] = read
}

// forget has a function's tags read again.
func (o *oneByOne) forget(arn lambda.ARN) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.read, arn)
}
