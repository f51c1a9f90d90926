package registrator

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"golang.org/x/sync/errgroup"

	"github.com/lambdamesh/lambdamesh/lambda"
)

const (
	// urlsEvery is how often a known URL is asked for again. It never changes as long as
	// it is there (AWS's documentation, "Invoking Lambda function URLs").
	urlsEvery = time.Hour

	// parallelURLs is how many functions' URLs are asked for at once; the region's limiter
	// sets the pace.
	parallelURLs = 8
)

// urls remembers the URLs of a region's functions that are called by them. The zero value
// knows none.
type urls struct {
	known map[lambda.ARN]urlRead // by ARN, with the qualifier of an alias
}

// urlRead is a URL as it was at a time.
type urlRead struct {
	url string
	at  time.Time
}

// fill writes the URLs into the functions whose tags want them and do not say them: a call
// for each function and alias that is new here, or was last asked about an hour ago. With
// an error nothing is remembered.
func (u *urls) fill(ctx context.Context, now time.Time, region Region, functions []Listed) error {
	known := map[lambda.ARN]urlRead{}
	var mu sync.Mutex // guards known
	group, bound := errgroup.WithContext(ctx)
	group.SetLimit(parallelURLs)
	for i := range functions {
		f := &functions[i]
		if len(f.lackURL()) == 0 {
			continue
		}
		group.Go(func() error {
			return f.fillURLs(func(arn lambda.ARN) (string, error) {
				read, ok := u.known[arn]
				if !ok || now.Sub(read.at) >= urlsEvery {
					url, err := readURL(bound, region, arn)
					if err != nil {
						return "", err
					}
					read = urlRead{url, now}
				}
				mu.Lock()
				defer mu.Unlock()
				known[arn] = read
				return read.url, nil
			})
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	u.known = known
	return nil
}

// forget has the URLs of a function, and of its aliases, asked for again.
func (u *urls) forget(arn lambda.ARN) {
	for known := range u.known {
		if known.Unqualified() == arn {
			delete(u.known, known)
		}
	}
}

// lackURL are the function and its aliases, where their tags want URLs and do not say
// them.
func (l Listed) lackURL() []lambda.ARN {
	tagged, _, err := lambda.FromTags(l.ARN, l.Tags)
	if err != nil || !tagged.Enabled || !tagged.Function.URL || tagged.Function.FunctionURL != "" {
		return nil
	}
	var all []lambda.ARN
	for _, f := range tagged.Services() {
		all = append(all, f.ARN)
	}
	return all
}

// noURL says why a function's URL cannot be known. It concerns that function alone.
type noURL struct{ reason string }

func (e noURL) Error() string { return e.reason }

// fillURLs asks for the URLs that are lacking.
func (l *Listed) fillURLs(ask func(lambda.ARN) (string, error)) error {
	for _, arn := range l.lackURL() {
		url, err := ask(arn)
		if missing, ok := errors.AsType[noURL](err); ok {
			l.NoURL = missing.reason
			return nil
		}
		if err != nil {
			return err
		}
		if l.URLs == nil {
			l.URLs = map[lambda.ARN]string{}
		}
		l.URLs[arn] = url
	}
	return nil
}

// readURL asks AWS for the URL of a function or an alias.
func readURL(ctx context.Context, region Region, arn lambda.ARN) (string, error) {
	in := &awslambda.GetFunctionUrlConfigInput{FunctionName: aws.String(arn.Unqualified().String())}
	if arn.Qualifier != "" {
		in.Qualifier = &arn.Qualifier
	}
	out, err := region.Lambda.GetFunctionUrlConfig(ctx, in)
	var missing *types.ResourceNotFoundException
	switch {
	case errors.As(err, &missing):
		return "", noURL{fmt.Sprintf("it is tagged with %s url, and %s has no URL", lambda.KeyInvokeMode, arn)}
	case isDenied(err):
		return "", noURL{fmt.Sprintf("lambda:GetFunctionUrlConfig is denied, so the URL of %s is not known; the tag %s can say it", arn, lambda.KeyURL)}
	case err != nil:
		return "", fmt.Errorf("reading the URL of %s: %w", arn, err)
	}
	url, err := lambda.ParseURL(aws.ToString(out.FunctionUrl))
	if err != nil {
		return "", noURL{fmt.Sprintf("AWS gives the URL of %s as %q, which is %v", arn, aws.ToString(out.FunctionUrl), err)}
	}
	return url, nil
}
