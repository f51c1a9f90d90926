package doctor

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// parameter is one of Parameter Store. Its value is read, as the right to decrypt it shows
// in no other way, and goes nowhere.
type parameter struct {
	cfg  aws.Config
	name string
}

func (p parameter) check(ctx context.Context, r *Report) {
	var value string
	missing := false
	a := action{"ssm:GetParameter", " " + p.name, "", Fail, "the registrator in AWS Lambda does not start; where AWS's words name KMS, kms:Decrypt on the parameter's key is missing"}
	allowed := a.try(ctx, r, func(ctx context.Context) error {
		out, err := ssm.NewFromConfig(p.cfg).GetParameter(ctx, &ssm.GetParameterInput{Name: &p.name, WithDecryption: aws.Bool(true)})
		if missing = errors.As(err, new(*types.ParameterNotFound)); missing {
			return nil // which it tells only to who may know
		}
		if err == nil && out.Parameter != nil {
			value = aws.ToString(out.Parameter.Value)
		}
		return err
	})
	switch {
	case missing:
		r.add("aws parameter "+p.name, Fail, "there is none of that name in "+p.cfg.Region, "is it in another region or account?")
	case allowed && value == "":
		r.add("aws parameter "+p.name, Fail, "it is empty", "put Consul's token, or the certificate of its authority, into it")
	}
}
