package lambda

import (
	"fmt"
	"regexp"
	"strings"
)

// ARN names a Lambda function, or one alias or version of it:
// arn:PARTITION:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER].
// The zero value names nothing; a value from ParseARN is always whole.
type ARN struct {
	Partition string // aws, aws-cn, aws-us-gov, ...
	Region    string // us-east-1, ...: requests are signed for it
	Account   string // twelve digits
	Name      string // the function's name
	Qualifier string // an alias, a version or $LATEST; empty for none
}

// The character sets are those of AWS's Lambda API reference, FunctionName and
// Qualifier. Envoy wants seven parts or more and takes the eighth as qualifier.
var (
	partitionForm = regexp.MustCompile(`^aws(-[a-z0-9]+)*$`)
	regionForm    = regexp.MustCompile(`^[a-z]{2,8}(-[a-z]{2,16}){1,3}-[0-9]{1,2}$`)
	accountForm   = regexp.MustCompile(`^[0-9]{12}$`)
	functionForm  = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)
	qualifierForm = regexp.MustCompile(`^(\$LATEST(\.PUBLISHED)?|[a-zA-Z0-9_-]{1,128})$`)
	aliasForm     = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,128}$`)
	roleForm      = regexp.MustCompile(`^arn:aws(-[a-z0-9]+)*:iam::[0-9]{12}:role/[\w+=,.@/-]{1,512}$`)
)

// externalIDForm is AWS's own (STS's reference, AssumeRole). Nothing else may pass: Envoy
// puts the id into the query of its call to STS, where it escapes % and what is not
// printable ASCII alone (its source, PercentEncoding::encode). An & would begin another
// parameter, such as a role beside the one that is allowed.
var externalIDForm = regexp.MustCompile(`^[\w+=,.@:/-]*$`)

// ParseARN reads a function's ARN. The error says which part is wrong.
func ParseARN(s string) (ARN, error) {
	parts := strings.Split(s, ":")
	if len(parts) < 7 || len(parts) > 8 || parts[0] != "arn" || parts[2] != "lambda" || parts[5] != "function" {
		return ARN{}, fmt.Errorf("%q is not the ARN of a Lambda function (arn:aws:lambda:REGION:ACCOUNT:function:NAME)", s)
	}
	arn := ARN{Partition: parts[1], Region: parts[3], Account: parts[4], Name: parts[6]}
	for _, part := range []struct {
		what, value string
		form        *regexp.Regexp
	}{
		{"partition", arn.Partition, partitionForm},
		{"region", arn.Region, regionForm},
		{"account", arn.Account, accountForm},
		{"function name", arn.Name, functionForm},
	} {
		if !part.form.MatchString(part.value) {
			return ARN{}, fmt.Errorf("%q is not the ARN of a Lambda function: %q is no %s", s, part.value, part.what)
		}
	}
	if len(parts) == 8 {
		arn.Qualifier = parts[7]
		if !qualifierForm.MatchString(arn.Qualifier) {
			return ARN{}, fmt.Errorf("%q is not the ARN of a Lambda function: %q is no alias or version", s, arn.Qualifier)
		}
	}
	return arn, nil
}

// IsZero reports whether the ARN names nothing.
func (a ARN) IsZero() bool { return a == ARN{} }

// String is the ARN as AWS writes it; empty for the zero value.
func (a ARN) String() string {
	if a.IsZero() {
		return ""
	}
	s := "arn:" + a.Partition + ":lambda:" + a.Region + ":" + a.Account + ":function:" + a.Name
	if a.Qualifier != "" {
		s += ":" + a.Qualifier
	}
	return s
}

// WithQualifier is the ARN of the function's alias or version.
func (a ARN) WithQualifier(qualifier string) ARN {
	a.Qualifier = qualifier
	return a
}

// Unqualified is the ARN of the function itself.
func (a ARN) Unqualified() ARN { return a.WithQualifier("") }

// nameForm is what Consul takes as the name of a namespace, a partition and a
// datacenter: letters, digits, - and _, at most 64.
var nameForm = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)
