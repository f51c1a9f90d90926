package consul

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/lambdamesh/lambdamesh/lambda"
)

// ClientConfig says how Consul's HTTP API is reached. Zero fields leave what the
// CONSUL_* environment says, which means here what it means to Consul's own
// tools (CONSUL_HTTP_ADDR, _TOKEN, _TOKEN_FILE, _SSL, CONSUL_CACERT, ...).
type ClientConfig struct {
	Address   string // host:port, http://, https:// or unix://
	TokenFile string // its content is the token; read once, here
	Token     string // goes before TokenFile; for what is in no file
	CA        []byte // PEM; the authorities to trust with https, for what is in no file
}

// Client is Consul's HTTP API with a token of our own. That token is for this API
// alone and never opens an Envoy's stream.
type Client struct {
	API     *api.Client
	Address string // as it was given

	// Tokenless says that we have no token, so that with ACLs on the answers are
	// the anonymous token's, or those of the agent's own default token.
	Tokenless bool

	// Partition is the one that the environment names, or "default"
	// (CONSUL_PARTITION; Consul Enterprise).
	Partition string

	http   *http.Client
	config *api.Config // with what NewClient put into it
}

// Close lets go of connections that are kept for later requests.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// NewClient makes a Client. It reads files and does not connect.
func NewClient(cfg ClientConfig) (*Client, error) {
	c := api.DefaultConfig()
	if cfg.Address != "" {
		c.Address = cfg.Address
	}
	if cfg.TokenFile != "" {
		// A token file given by hand beats both variables, as in Consul's CLI;
		// consul/api tells "given" from "environment" by comparing the paths.
		c.TokenFile, c.Token = cfg.TokenFile, ""
	}
	if cfg.Token != "" {
		c.TokenFile, c.Token = "", cfg.Token
	}
	if len(cfg.CA) > 0 {
		c.TLSConfig.CAFile, c.TLSConfig.CAPath, c.TLSConfig.CAPem = "", "", cfg.CA
	}
	address := c.Address // NewClient cuts its scheme off
	client, err := api.NewClient(c)
	if err != nil {
		return nil, fmt.Errorf("setting up Consul's API client: %w", err)
	}
	return &Client{
		API: client, Address: address,
		Tokenless: c.Token == "", // NewClient has read the file into it
		Partition: cmp.Or(c.Partition, lambda.DefaultName),
		http:      c.HttpClient,
		config:    c,
	}, nil
}

// Enterprise reports whether Consul is the Enterprise edition, which alone has
// namespaces and partitions. Consul 1.22.5 tells its version to anybody.
func (c *Client) Enterprise(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var version struct{ HumanVersion string }
	_, err := c.API.Raw().Query("/v1/agent/version", &version, (&api.QueryOptions{}).WithContext(ctx))
	var status api.StatusError
	if errors.As(err, &status) && status.Code == http.StatusNotFound {
		return false, nil // a Consul too old to be asked
	}
	if err != nil {
		return false, fmt.Errorf("asking Consul for its version: %w", err)
	}
	return strings.Contains(version.HumanVersion, "+ent"), nil
}
