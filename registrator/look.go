package registrator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// looks is how often a look is made in all where somebody else, most likely a look
// at the same function, changes things in between.
const looks = 3

// Look brings the services of these functions, and nothing else, in line with what
// AWS says of them now: at most two calls of AWS, three if it is called by its URL, and
// two writes for a function with one service. A function that AWS does not have wants nothing; one of which AWS does
// not answer is left as it is, and the error says so. One of an account or region that
// is not read is skipped.
//
// Looks at one function must not overlap: the one that read first could write last. In
// one process they do not. Of several processes one is to look (Run elects it; in AWS
// Lambda a reserved concurrency of one does); where two did, the next full sync mends
// it. A name that two functions want is settled by full syncs alone.
func (r *Registrator) Look(ctx context.Context, functions ...lambda.ARN) (Result, error) {
	r.run.Lock()
	defer r.run.Unlock()
	ctx, span := r.work(ctx, "look")
	began := time.Now()
	for made := 1; ; made++ {
		result, err := r.lookLocked(ctx, functions)
		if made == looks || !errors.Is(err, errChanged) {
			r.recordLook(began, result, err)
			return result, finished(span, result, err)
		}
	}
}

// Handle does what an event asks for.
func (r *Registrator) Handle(ctx context.Context, event Event) (result Result, err error) {
	ctx, span := r.work(ctx, "event", keyEvent.String(string(event.Kind)))
	defer func() { ended(span, err) }()
	switch event.Kind {
	case EventSync:
		return r.Sync(ctx)
	case EventLook:
		return r.Look(ctx, event.Functions...)
	}
	return Result{}, nil
}

func (r *Registrator) lookLocked(ctx context.Context, functions []lambda.ARN) (Result, error) {
	listing, unread := r.source.lookAt(ctx, functions)
	for _, seen := range listing.Functions {
		r.looked[seen.ARN] = seen
	}
	return r.bringLocked(ctx, time.Now(), listing, unread)
}

// lookAt reads functions one by one. Unlike a listing, which is eventually
// consistent, each answer is of now, so that no deletion has to be confirmed.
func (s *source) lookAt(ctx context.Context, functions []lambda.ARN) (Listing, error) {
	all := Listing{Scope: Scope{}, Only: map[lambda.ARN]bool{}}
	var failures []error
	for _, arn := range functions {
		arn = arn.Unqualified()
		if all.Only[arn] {
			continue
		}
		region, ours, err := s.regionOf(ctx, arn)
		if err == nil && !ours {
			all.Skipped = append(all.Skipped, Skip{
				Function: arn.String(), expected: true,
				Reason: fmt.Sprintf("%s is not read here", areaOf(arn)),
			})
			continue
		}
		var seen Listed
		if err == nil {
			seen, err = s.one(ctx, region, arn, &all)
		}
		if err != nil {
			failures = append(failures, err)
			continue
		}
		all.Only[arn], all.Scope[areaOf(arn)] = true, true
		all.Functions = append(all.Functions, seen)
	}
	return all, errors.Join(failures...)
}

// one reads a function; one that does not exist has no tags.
func (s *source) one(ctx context.Context, region Region, arn lambda.ARN, all *Listing) (Listed, error) {
	seen := look(ctx, region, arn)
	if seen.presence == unknown {
		return Listed{}, seen.err
	}
	listed := Listed{ARN: arn, Tags: seen.tags}
	if err := listed.fillURLs(func(arn lambda.ARN) (string, error) { return readURL(ctx, region, arn) }); err != nil {
		return Listed{}, err
	}
	tagged, _, err := lambda.FromTags(arn, seen.tags)
	if s.timeouts == nil || err != nil || !tagged.Enabled || tagged.Function.Timeout != 0 {
		return listed, nil
	}
	out, err := region.Lambda.GetFunctionConfiguration(ctx, &awslambda.GetFunctionConfigurationInput{FunctionName: aws.String(arn.String())})
	var missing *types.ResourceNotFoundException
	switch {
	case errors.As(err, &missing): // deleted since
		return Listed{ARN: arn}, nil
	case isDenied(err):
		all.Notes = append(all.Notes, fmt.Sprintf(
			"%s: lambda:GetFunctionConfiguration is denied, so a function's own timeout is known at the next full sync alone, and not at an event", region))
	case err != nil:
		return Listed{}, fmt.Errorf("reading the timeout of %s: %w", arn, err)
	default:
		listed.Timeout = time.Duration(aws.ToInt32(out.Timeout)) * time.Second
	}
	listed.TimeoutUnknown = listed.Timeout == 0
	return listed, nil
}

// regionOf is where a function is read; ours is false if its account or its region is
// not read at all.
func (s *source) regionOf(ctx context.Context, arn lambda.ARN) (region Region, ours bool, err error) {
	for _, region := range s.regions {
		if region.Name != arn.Region {
			continue
		}
		account, err := s.account(ctx, region)
		if err != nil {
			return Region{}, false, err
		}
		if account == arn.Account {
			return region, true, nil
		}
	}
	return Region{}, false, nil
}

// account is the one that a region is of. AWS is asked once whose credentials
// our own are.
func (s *source) account(ctx context.Context, region Region) (string, error) {
	if region.Account != "" {
		return region.Account, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.own == "" {
		who, err := region.Identity.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		if err != nil {
			return "", fmt.Errorf("asking for the account: %w", err)
		}
		if aws.ToString(who.Account) == "" {
			return "", errNoAccount
		}
		s.own = *who.Account
	}
	return s.own, nil
}

// learn has what looks saw go before what is remembered of listings. It is not to be
// called during a listing.
func (s *source) learn(looked map[lambda.ARN]Listed) {
	for i := range s.regions {
		for arn, seen := range looked {
			s.slow[i].forget(arn)
			s.urls[i].forget(arn)
			if s.timeouts == nil || seen.Timeout == 0 {
				continue
			}
			account, err := s.account(context.Background(), s.regions[i]) // known since the look
			if known := s.timeouts[i].known; err == nil && known != nil && areaOf(arn) == (Area{account, s.regions[i].Name}) {
				known[arn] = seen.Timeout
			}
		}
	}
}

// overlay puts what looks saw in the place of what the listing says: they were made
// since it began.
func (l *Listing) overlay(looked map[lambda.ARN]Listed) {
	l.Functions = slices.DeleteFunc(l.Functions, func(f Listed) bool {
		_, newer := looked[f.ARN]
		return newer
	})
	for _, seen := range looked {
		if l.Scope.Contains(seen.ARN) {
			l.Functions = append(l.Functions, seen)
		}
	}
	l.sort()
}
