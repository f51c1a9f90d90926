package testmesh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"syscall"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"
	"github.com/lambdamesh/lambdamesh/internal/parts"
	"github.com/lambdamesh/lambdamesh/internal/sigv4proxy"
)

// AWSConfig says how the emulated AWS is started. Bin, Dir and Ports are required.
type AWSConfig struct {
	Bin   parts.Part
	Dir   string // must exist; ministack's files and TMPDIR go into "aws" below it
	Ports *Ports

	Region string // default "us-east-1"

	// PlainInvoke makes the invoke endpoint plain HTTP.
	PlainInvoke bool
	// CloseInvoke makes it close every connection after one answer.
	CloseInvoke bool
}

// AWS is ministack with the two fronts: Front for the control plane, Invoke for
// invocations. ministack runs functions for real, in processes of their own.
type AWS struct {
	*Process // ministack's current run

	Front  *AWSFront
	Invoke *sigv4proxy.Proxy

	cfg         AWSConfig
	command     Command
	port        int
	credentials Credentials
	caFile      string
}

// AccountID is the account of every function.
const AccountID = "000000000000"

// StartAWS starts ministack and the fronts.
func StartAWS(ctx context.Context, cfg AWSConfig) (*AWS, error) {
	cfg.Region = cmp.Or(cfg.Region, "us-east-1")
	a := &AWS{cfg: cfg, credentials: Credentials{AccessKeyID: "AKIDMESH", SecretAccessKey: "mesh-" + newUUID()}}
	noteSecret(a.credentials.SecretAccessKey)
	if err := cfg.Ports.Fill(&a.port); err != nil {
		return nil, err
	}
	// ministack names files in TMPDIR by its port alone, and leaves some there.
	dir := filepath.Join(cfg.Dir, "aws")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making ministack's folder: %w", err)
	}
	a.command = Command{
		Name: "ministack", Path: cfg.Bin.Path, Dir: dir,
		StopSignal: syscall.SIGINT, // after SIGTERM it does not end its function workers
		Env: Environ(dir, "BIND_HOST=127.0.0.1", fmt.Sprintf("GATEWAY_PORT=%d", a.port),
			"MINISTACK_REGION="+cfg.Region, "AWS_DEFAULT_REGION="+cfg.Region, "PYTHONDONTWRITEBYTECODE=1"),
	}
	if err := a.Start(ctx); err != nil {
		return nil, err
	}
	if err := a.startFronts(); err != nil {
		return nil, errors.Join(err, a.Stop())
	}
	return a, nil
}

func (a *AWS) startFronts() (err error) {
	backend := &url.URL{Scheme: "http", Host: loopback(a.port)}
	if a.Front, err = startAWSFront(backend); err != nil {
		return err
	}
	if a.Invoke, err = sigv4proxy.Start(sigv4proxy.Config{
		Backend: backend, Region: a.cfg.Region, Plain: a.cfg.PlainInvoke, Close: a.cfg.CloseInvoke,
		Names:       []string{"localhost", "*.lambda-url." + a.cfg.Region + ".on.aws"}, // URL() has the first
		Credentials: aws.Credentials{AccessKeyID: a.credentials.AccessKeyID, SecretAccessKey: a.credentials.SecretAccessKey},
	}); err != nil {
		return err
	}
	if a.cfg.PlainInvoke {
		return nil
	}
	a.caFile = filepath.Join(a.cfg.Dir, "aws", "invoke-ca.pem")
	return os.WriteFile(a.caFile, a.Invoke.CAPEM(), 0o600)
}

// Start starts ministack again after Stop or Kill; its functions are gone, as they
// lived in memory. The fronts stay.
func (a *AWS) Start(ctx context.Context) error {
	p, err := a.Process.again(a.command)
	if err != nil {
		return err
	}
	a.Process = p
	if err := p.Ready(ctx, func(ctx context.Context) error {
		_, err := fetch(ctx, http.MethodGet, "http://"+loopback(a.port)+"/_ministack/ready", nil)
		return err
	}); err != nil {
		p.Kill()
		return err
	}
	return nil
}

// Close ends the fronts and ministack.
func (a *AWS) Close() error {
	var errs []error
	if a.Front != nil {
		errs = append(errs, a.Front.Close())
	}
	if a.Invoke != nil {
		errs = append(errs, a.Invoke.Close())
	}
	return errors.Join(append(errs, a.Stop())...)
}

// Region is where the functions are.
func (a *AWS) Region() string { return a.cfg.Region }

// Credentials are those that Invoke accepts.
func (a *AWS) Credentials() Credentials { return a.credentials }

// CAFile is a PEM file that makes Invoke's certificate trusted (--lambda-ca-file); ""
// if it speaks plain HTTP.
func (a *AWS) CAFile() string { return a.caFile }

// Environ is the environment that points an AWS client at the control plane.
func (a *AWS) Environ() []string {
	return append(a.credentials.environ(), "AWS_REGION="+a.cfg.Region, "AWS_ENDPOINT_URL="+a.Front.URL(), "AWS_EC2_METADATA_DISABLED=true")
}

// SDKConfig is an SDK's configuration for the control plane.
func (a *AWS) SDKConfig() aws.Config {
	return aws.Config{
		Region: a.cfg.Region, BaseEndpoint: aws.String(a.Front.URL()),
		Credentials: credentials.NewStaticCredentialsProvider(a.credentials.AccessKeyID, a.credentials.SecretAccessKey, ""),
		HTTPClient:  &http.Client{Transport: newTransport()},
	}
}

// Lambda is a client of the control plane, through Front.
func (a *AWS) Lambda() *awslambda.Client { return awslambda.NewFromConfig(a.SDKConfig()) }

// Tagging is a client of the Resource Groups Tagging API, through Front.
func (a *AWS) Tagging() *resourcegroupstaggingapi.Client {
	return resourcegroupstaggingapi.NewFromConfig(a.SDKConfig())
}
