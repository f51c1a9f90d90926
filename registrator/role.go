package registrator

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// Role is an IAM role of a further account, which the registrator assumes to read
// that account.
type Role struct {
	ARN        string
	ExternalID string // what the role's trust policy asks for; empty for nothing
}

// sessionName is what CloudTrail of the role's account shows.
const sessionName = "lambdamesh"

// ParseRole reads ARN[,EXTERNAL-ID].
func ParseRole(text string) (Role, error) {
	name, externalID, _ := strings.Cut(text, ",")
	role := Role{ARN: strings.TrimSpace(name), ExternalID: strings.TrimSpace(externalID)}
	parsed, err := arn.Parse(role.ARN)
	if err != nil || parsed.Service != "iam" || len(parsed.AccountID) != 12 || !strings.HasPrefix(parsed.Resource, "role/") {
		return Role{}, fmt.Errorf("%q is not the ARN of an IAM role (arn:aws:iam::ACCOUNT:role/NAME)", role.ARN)
	}
	return role, nil
}

// account is the role's.
func (r Role) account() string {
	parsed, _ := arn.Parse(r.ARN)
	return parsed.AccountID
}

// credentials assume the role with those of base; AWS is asked when they are
// first used, and again before they expire.
func (r Role) credentials(base aws.Config) aws.CredentialsProvider {
	assume := stscreds.NewAssumeRoleProvider(sts.NewFromConfig(base), r.ARN, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = sessionName
		if r.ExternalID != "" {
			o.ExternalID = aws.String(r.ExternalID)
		}
	})
	return aws.NewCredentialsCache(assume)
}
