package doctor

import (
	"context"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// A provider is one that the SDK's own chain takes credentials from: as its source is
// called in credentials (aws-sdk-go-v2/config 1.33.15), and as people call it.
type provider struct{ source, name string }

var providers = []provider{
	{"EnvConfigCredentials", "environment (AWS_ACCESS_KEY_ID)"},
	{"SharedConfigCredentials", "profile"},
	{"WebIdentityCredentials", "web identity (IRSA: AWS_WEB_IDENTITY_TOKEN_FILE)"},
	{"EC2RoleProvider", "instance's role (IMDS)"},
	{"AssumeRoleProvider", "role that a profile assumes"},
	{"SSOProvider", "single sign-on of a profile"},
	{"ProcessProvider", "credential_process of a profile"},
}

// providerOf names who gave credentials.
func providerOf(source string) string {
	// ECS and EKS Pod Identity have one provider, and differ by the variable.
	if source == "CredentialsEndpointProvider" {
		if os.Getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") != "" {
			return "container's role (ECS: AWS_CONTAINER_CREDENTIALS_RELATIVE_URI)"
		}
		return "container's role (EKS Pod Identity, ECS: AWS_CONTAINER_CREDENTIALS_FULL_URI)"
	}
	for _, p := range providers {
		if strings.HasPrefix(source, p.source) {
			return p.name + strings.TrimPrefix(source, p.source) // a profile's is followed by its file
		}
	}
	return source
}

// asked is the provider that the environment selects: the first of the SDK's chain that
// is configured, the others are not asked then. What a default profile holds is not known
// here.
func asked() string {
	switch {
	case os.Getenv("AWS_ACCESS_KEY_ID") != "" && os.Getenv("AWS_SECRET_ACCESS_KEY") != "":
		return providers[0].name
	case os.Getenv("AWS_WEB_IDENTITY_TOKEN_FILE") != "":
		return providers[2].name
	case os.Getenv("AWS_PROFILE") != "":
		return "profile " + os.Getenv("AWS_PROFILE")
	case os.Getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") != "", os.Getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI") != "":
		return providerOf("CredentialsEndpointProvider")
	case strings.EqualFold(os.Getenv("AWS_EC2_METADATA_DISABLED"), "true"):
		return "the default profile alone, as AWS_EC2_METADATA_DISABLED is true"
	}
	return "the default profile, else the " + providers[3].name
}

// checkCredentials looks for credentials as the SDK does, and says whose they are.
func checkCredentials(ctx context.Context, r *Report, cfg aws.Config) (ok bool) {
	var found aws.Credentials
	err := r.ask(ctx, func(ctx context.Context) (err error) {
		found, err = cfg.Credentials.Retrieve(ctx)
		return err
	})
	if err != nil {
		r.add("aws credentials", Fail, "none were found; asked: "+asked()+": "+reason(err),
			"give this process a role (instance profile, ECS task role, IRSA or EKS Pod Identity), or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
		return false
	}
	text := "by " + providerOf(found.Source) + ", region " + cfg.Region
	if found.CanExpire {
		text += ", until " + date(found.Expires)
	}
	r.add("aws credentials", OK, text, "")
	return true
}
