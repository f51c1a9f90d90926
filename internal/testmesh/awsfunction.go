package testmesh

import (
	"archive/zip"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/aws/aws-sdk-go-v2/aws"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// Function says which Lambda function CreateFunction makes.
type Function struct {
	Name    string
	File    string            // Python source with a function "handler" (see FunctionFile), or a zip file with a program "bootstrap"
	Tags    map[string]string // keys as AWS has them, with their prefix
	Aliases []string          // each on a published version
	Timeout int32             // seconds; default 3, as AWS's
	Env     map[string]string
}

// CreateFunction creates a function through the AWS API and returns its ARN, without
// version.
func (a *AWS) CreateFunction(ctx context.Context, f Function) (arn string, err error) {
	code, runtime, handler, err := f.code()
	if err != nil {
		return "", fmt.Errorf("creating the function %s: %w", f.Name, err)
	}
	client := a.Lambda()
	out, err := client.CreateFunction(ctx, &awslambda.CreateFunctionInput{
		FunctionName: aws.String(f.Name), Runtime: runtime, Handler: aws.String(handler),
		Role: aws.String("arn:aws:iam::" + AccountID + ":role/lambda"),
		Code: &types.FunctionCode{ZipFile: code}, Tags: f.Tags, Timeout: aws.Int32(cmp.Or(f.Timeout, 3)),
		Environment: &types.Environment{Variables: f.Env},
	})
	if err != nil {
		return "", fmt.Errorf("creating the function %s: %w", f.Name, err)
	}
	for _, alias := range f.Aliases {
		version, err := client.PublishVersion(ctx, &awslambda.PublishVersionInput{FunctionName: &f.Name})
		if err != nil {
			return "", fmt.Errorf("publishing a version of %s: %w", f.Name, err)
		}
		if _, err := client.CreateAlias(ctx, &awslambda.CreateAliasInput{
			FunctionName: &f.Name, Name: &alias, FunctionVersion: version.Version,
		}); err != nil {
			return "", fmt.Errorf("creating the alias %s of %s: %w", alias, f.Name, err)
		}
	}
	return aws.ToString(out.FunctionArn), nil
}

// CreateURL gives a function, or an alias of it, a URL, which unsigned requests may call
// only if it is open, and returns it, as AWS does with a slash at its end.
func (a *AWS) CreateURL(ctx context.Context, name, alias string, open bool) (string, error) {
	in := &awslambda.CreateFunctionUrlConfigInput{FunctionName: &name, AuthType: types.FunctionUrlAuthTypeAwsIam}
	if open {
		in.AuthType = types.FunctionUrlAuthTypeNone
	}
	if alias != "" {
		in.Qualifier = &alias
	}
	out, err := a.Lambda().CreateFunctionUrlConfig(ctx, in)
	if err != nil {
		return "", fmt.Errorf("creating the URL of %s: %w", name, err)
	}
	return aws.ToString(out.FunctionUrl), nil
}

// Tag sets tags of the function with this ARN.
func (a *AWS) Tag(ctx context.Context, arn string, tags map[string]string) error {
	if _, err := a.Lambda().TagResource(ctx, &awslambda.TagResourceInput{Resource: &arn, Tags: tags}); err != nil {
		return fmt.Errorf("tagging %s: %w", arn, err)
	}
	return nil
}

// Untag removes tags of the function with this ARN.
func (a *AWS) Untag(ctx context.Context, arn string, keys ...string) error {
	if _, err := a.Lambda().UntagResource(ctx, &awslambda.UntagResourceInput{Resource: &arn, TagKeys: keys}); err != nil {
		return fmt.Errorf("untagging %s: %w", arn, err)
	}
	return nil
}

// DeleteFunction deletes a function by name or ARN.
func (a *AWS) DeleteFunction(ctx context.Context, name string) error {
	if _, err := a.Lambda().DeleteFunction(ctx, &awslambda.DeleteFunctionInput{FunctionName: &name}); err != nil {
		return fmt.Errorf("deleting the function %s: %w", name, err)
	}
	return nil
}

// EnabledTags are the tags that make a function a service of the mesh. More come as
// key and value in turn, without the prefix.
func EnabledTags(more ...string) map[string]string {
	tags := map[string]string{MetaPrefix + "enabled": "true"}
	for i := 0; i+1 < len(more); i += 2 {
		tags[MetaPrefix+more[i]] = more[i+1]
	}
	return tags
}

// code is the function's zip file, and how AWS is to run it.
func (f Function) code() (code []byte, runtime types.Runtime, handler string, err error) {
	if filepath.Ext(f.File) == ".zip" {
		code, err = os.ReadFile(f.File)
		return code, types.RuntimeProvidedal2023, "bootstrap", err
	}
	code, err = zipPython(f.File)
	return code, types.RuntimePython312, "index.handler", err
}

// zipPython packs a source file as index.py.
func zipPython(file string) ([]byte, error) {
	source, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	w, err := z.Create("index.py")
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(source); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}
