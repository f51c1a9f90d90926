package doctor

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// Role is one of a further account, which the registrator assumes to read that account.
type Role struct {
	ARN        string
	ExternalID string // empty: none
}

// assuming is a role, and what is to be read with it.
type assuming struct {
	cfg     aws.Config // of our own credentials
	role    Role
	regions []string
}

// check assumes the role and makes the registrator's calls with it, in each region.
func (a assuming) check(ctx context.Context, r *Report) {
	assumed := a.cfg.Copy()
	assumed.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(a.cfg), a.role.ARN, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = "lambdamesh-doctor"
		if a.role.ExternalID != "" {
			o.ExternalID = &a.role.ExternalID
		}
	}))
	may := action{
		"sts:AssumeRole", " " + a.role.ARN, a.role.ARN, Fail,
		"that account is not read. The role's trust policy must name these credentials' role, with the external id that --assume-role gives if it asks for one",
	}
	if !may.try(ctx, r, func(ctx context.Context) error {
		_, err := assumed.Credentials.Retrieve(ctx)
		return err
	}) {
		return
	}
	var checks []Check
	for _, region := range a.regions {
		regional := assumed.Copy()
		regional.Region = region
		checks = append(checks, functions{cfg: regional, where: " as " + a.role.ARN + " in " + region}.check)
	}
	r.together(ctx, checks...)
}
