package registrator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// Listed is one function as AWS listed it.
type Listed struct {
	ARN     lambda.ARN        // unqualified
	Tags    map[string]string // those of our vocabulary, and maybe others
	Timeout time.Duration     // the function's own; zero when not read

	// TimeoutUnknown says that the timeout was wanted and could not be read: what
	// Consul has of it then stays.
	TimeoutUnknown bool

	// URLs are those that its tags want and do not say, of the function and its aliases;
	// NoURL says why they are not known, and then nothing of the function is changed.
	URLs  map[lambda.ARN]string
	NoURL string
}

// tagged reports whether one of its tags is of our vocabulary.
func (l Listed) tagged() bool {
	_, found, _ := lambda.FromTags(l.ARN, l.Tags)
	return found
}

// Listing is everything that a run read of AWS.
type Listing struct {
	Functions []Listed // sorted by ARN; functions that were never tagged may be missing
	Scope     Scope    // what was listed whole
	Notes     []string // what was denied and what that costs; sorted
	OneByOne  int      // accounts and regions where each function took a call of its own

	// Of a look: the functions that were looked at, of all in the Scope, and those that
	// were not. Only is nil if all were listed.
	Only    map[lambda.ARN]bool
	Skipped []Skip
}

func (l *Listing) sort() {
	slices.SortFunc(l.Functions, func(a, b Listed) int { return strings.Compare(a.ARN.String(), b.ARN.String()) })
}

// source reads AWS. A read is whole or it is an error.
type source struct {
	regions  []Region
	timeouts []timeouts // of each region; nil: they are not wanted

	slow []oneByOne // of each region
	urls []urls     // of each region

	areas map[Area]Region // as the last list found them

	mu  sync.Mutex // guards own
	own string     // the account of our own credentials, once it is known
}

func newSource(regions []Region, withTimeouts bool) *source {
	s := &source{regions: regions, slow: make([]oneByOne, len(regions)), urls: make([]urls, len(regions))}
	if withTimeouts {
		s.timeouts = make([]timeouts, len(regions))
	}
	return s
}

// list reads all regions at once. One that fails is missing in the Listing and in
// its Scope, and the error says why. It remembers timeouts and is not to be called
// by two at a time.
func (s *source) list(ctx context.Context, now time.Time) (Listing, error) {
	lists := make([]Listing, len(s.regions))
	failures := make([]error, len(s.regions))
	var group sync.WaitGroup
	for i := range s.regions {
		group.Go(func() {
			var err error
			if lists[i], err = s.listRegion(ctx, now, i); err != nil {
				failures[i] = fmt.Errorf("reading functions of %s: %w", s.regions[i], err)
			}
		})
	}
	group.Wait()
	all := Listing{Scope: Scope{}}
	s.areas = map[Area]Region{}
	for i, one := range lists {
		all.Functions = append(all.Functions, one.Functions...)
		all.Notes = append(all.Notes, one.Notes...)
		all.OneByOne += one.OneByOne
		for area := range one.Scope {
			all.Scope[area] = true
			s.areas[area] = s.regions[i]
		}
	}
	all.sort()
	// Pages that shift while they are read may list a function twice.
	all.Functions = slices.CompactFunc(all.Functions, func(a, b Listed) bool { return a.ARN == b.ARN })
	slices.Sort(all.Notes)
	return all, errors.Join(failures...)
}

func (s *source) listRegion(ctx context.Context, now time.Time, i int) (list Listing, err error) {
	region := s.regions[i]
	ctx, span := child(ctx, "read functions", keyRegion.String(region.Name))
	defer func() {
		for area := range list.Scope {
			span.SetAttributes(keyAccount.String(area.Account))
		}
		span.SetAttributes(keyFunctions.Int(len(list.Functions)))
		ended(span, err)
	}()
	functions, err := listTagged(ctx, region)
	oneByOne := isDenied(err)
	if oneByOne {
		list.OneByOne = 1
		list.Notes = append(list.Notes, fmt.Sprintf(
			"%s: tag:GetResources is denied, so each function's tags are read by a call of its own (lambda:ListFunctions, lambda:ListTags): %.0f minutes for 10,000 functions, at --aws-rate %g",
			region, oneByOneTakes(10_000, cmp.Or(region.rate, DefaultAWSRate)).Minutes(), cmp.Or(region.rate, DefaultAWSRate)))
		functions, err = s.slow[i].list(ctx, now, region)
	}
	if err != nil {
		return Listing{}, err
	}
	account, err := accountOf(ctx, region, functions)
	if err != nil {
		return Listing{}, err
	}
	if region.Account != "" && region.Account != account {
		return Listing{}, fmt.Errorf("the listing is of account %s", account)
	}
	list.Functions = functions
	list.Scope = Scope{{Account: account, Region: region.Name}: true}
	switch {
	case s.timeouts == nil:
		for i := range functions {
			functions[i].Timeout = 0
		}
	case !oneByOne: // else they are there already
		err := s.timeouts[i].fill(ctx, now, region, functions)
		switch {
		case isDenied(err):
			list.Notes = append(list.Notes, fmt.Sprintf(
				"%s: lambda:ListFunctions is denied, so functions' own timeouts are not known; routes keep what Meta or tags say", region))
		case err != nil:
			return Listing{}, fmt.Errorf("reading timeouts: %w", err)
		}
	}
	if err := s.urls[i].fill(ctx, now, region, functions); err != nil {
		return Listing{}, err
	}
	return list, nil
}

var errNoAccount = errors.New("asking for the account: the answer names none")

// accountOf is the account that the listing is of. A listing without functions
// does not say it, so AWS is asked whose credentials these are.
func accountOf(ctx context.Context, region Region, functions []Listed) (string, error) {
	if len(functions) == 0 {
		who, err := region.Identity.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		if err != nil {
			return "", fmt.Errorf("asking for the account: %w", err)
		}
		if who.Account == nil || *who.Account == "" {
			return "", errNoAccount
		}
		return *who.Account, nil
	}
	account := functions[0].ARN.Account
	for _, f := range functions {
		if f.ARN.Account != account || f.ARN.Region != region.Name {
			return "", fmt.Errorf("the listing of account %s holds %s", account, f.ARN)
		}
	}
	return account, nil
}

// isDenied reports that IAM does not allow a call. Services spell it differently.
func isDenied(err error) bool {
	var failure smithy.APIError
	if !errors.As(err, &failure) {
		return false
	}
	switch failure.ErrorCode() {
	case "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "UnauthorizedException":
		return true
	}
	return false
}

// errNoList says that AWS answered 200 and something else than a page.
var errNoList = errors.New("the answer holds no list")

// pages walks the pages of a listing. next reads the page at a token, "" for the
// first, and returns the token of the page after it, "" at the end. A token that
// comes again would be read for ever, and hides what comes after it.
func pages(next func(token string) (string, error)) error {
	seen := map[string]bool{}
	for token := ""; ; {
		after, err := next(token)
		if err != nil {
			return err
		}
		if after == "" {
			return nil
		}
		if seen[after] {
			return fmt.Errorf("page %d: AWS repeats the token of a page before", len(seen)+1)
		}
		seen[after] = true
		token = after
	}
}
