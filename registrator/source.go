package registrator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"golang.org/x/sync/errgroup"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// Listed is one function as AWS listed it.
type Listed struct {
	ARN     lambda.ARN // unqualified
	Tags    map[string]string
	Timeout time.Duration // the function's own; zero when not read

	// TimeoutUnknown says that the timeout was wanted and could not be read: what
	// Consul has of it then stays.
	TimeoutUnknown bool
}

// Listing is everything that a run read of AWS.
type Listing struct {
	Functions []Listed // sorted by ARN; functions that were never tagged may be missing
	Scope     Scope    // what was listed whole
	Notes     []string // what was denied and what that costs; sorted
}

// source reads AWS. A read is whole or it is an error.
type source struct {
	regions  []Region
	timeouts bool
}

// list reads all regions at once.
func (s source) list(ctx context.Context) (Listing, error) {
	lists := make([]Listing, len(s.regions))
	group, ctx := errgroup.WithContext(ctx)
	for i, region := range s.regions {
		group.Go(func() (err error) {
			lists[i], err = s.listRegion(ctx, region)
			if err != nil {
				err = fmt.Errorf("reading functions of %s: %w", region.Name, err)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return Listing{}, err
	}
	all := Listing{Scope: Scope{}}
	for _, one := range lists {
		all.Functions = append(all.Functions, one.Functions...)
		all.Notes = append(all.Notes, one.Notes...)
		for area := range one.Scope {
			all.Scope[area] = true
		}
	}
	slices.SortFunc(all.Functions, func(a, b Listed) int { return strings.Compare(a.ARN.String(), b.ARN.String()) })
	// Pages that shift while they are read may list a function twice.
	all.Functions = slices.CompactFunc(all.Functions, func(a, b Listed) bool { return a.ARN == b.ARN })
	slices.Sort(all.Notes)
	return all, nil
}

func (s source) listRegion(ctx context.Context, region Region) (Listing, error) {
	var list Listing
	functions, err := listTagged(ctx, region)
	if isDenied(err) {
		list.Notes = append(list.Notes, fmt.Sprintf(
			"%s: tag:GetResources is denied, so each function's tags are read by a call of its own (lambda:ListFunctions, lambda:ListTags): slow where there are many", region.Name))
		functions, err = listOneByOne(ctx, region)
	}
	if err != nil {
		return Listing{}, err
	}
	account, err := accountOf(ctx, region, functions)
	if err != nil {
		return Listing{}, err
	}
	list.Functions = functions
	list.Scope = Scope{{Account: account, Region: region.Name}: true}
	if s.timeouts && anyTagged(functions) {
		err := addTimeouts(ctx, region, functions)
		switch {
		case isDenied(err):
			list.Notes = append(list.Notes, fmt.Sprintf(
				"%s: lambda:ListFunctions is denied, so functions' own timeouts are not known; routes keep what Meta or tags say", region.Name))
		case err != nil:
			return Listing{}, fmt.Errorf("reading timeouts: %w", err)
		}
	}
	return list, nil
}

// accountOf is the account that the listing is of. A listing without functions
// does not say it, so AWS is asked whose credentials these are.
func accountOf(ctx context.Context, region Region, functions []Listed) (string, error) {
	if len(functions) == 0 {
		who, err := region.Identity.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		if err != nil {
			return "", fmt.Errorf("asking for the account: %w", err)
		}
		if who.Account == nil || *who.Account == "" {
			return "", errors.New("asking for the account: the answer names none")
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

// anyTagged reports whether a function may be wanted, so that a region without
// any costs no further call.
func anyTagged(functions []Listed) bool {
	return slices.ContainsFunc(functions, func(f Listed) bool {
		_, found, _ := lambda.FromTags(f.ARN, f.Tags)
		return found
	})
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

// wait takes one call from the region's allowance.
func (r Region) wait(ctx context.Context) error {
	if r.Limiter == nil {
		return nil
	}
	return r.Limiter.Wait(ctx)
}
