package registrator

import "github.com/lambdamesh/lambdamesh/lambda"

// Area is an account in a region.
type Area struct {
	Account string
	Region  string
}

// String names it for people.
func (a Area) String() string { return a.Region + " of account " + a.Account }

// areaOf is where a function is.
func areaOf(arn lambda.ARN) Area { return Area{Account: arn.Account, Region: arn.Region} }

// Scope is the set of areas that a run listed whole.
type Scope map[Area]bool

// Contains reports whether the function lies in an area that was listed whole:
// only then does its absence from the listing mean anything.
func (s Scope) Contains(arn lambda.ARN) bool {
	return s[areaOf(arn)]
}
