package patch

import (
	"bytes"
	"crypto/x509"
	_ "embed"
	"encoding/pem"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"reflect"
	"strconv"
	"strings"
)

// amazonRoots sign the certificates of all of AWS's endpoints.
//
//go:embed amazon-roots.pem
var amazonRoots []byte

// Direct says when a sidecar, an API gateway or an ingress gateway invokes a
// function by itself. Always: only if Consul lists no endpoint for it.
type Direct string

// The values of Direct. Whoever may not call a service never invokes it.
const (
	DirectAuto         Direct = "auto"          // only if no terminating gateway's entry lists the service
	DirectAutoFailover Direct = "auto-failover" // also when the gateways whose entries list it are gone
	DirectNever        Direct = "never"
)

// Mode says where the Lambda filter is put.
type Mode string

// The values of Mode. In a cluster it needs Envoy 1.31, in a listener 1.30.
const (
	ModeAuto     Mode = "auto" // in the cluster if Envoy can
	ModeCluster  Mode = "cluster"
	ModeListener Mode = "listener"
)

// Options say where and how functions are invoked. The zero value invokes by
// AWS's own endpoints, verified by Amazon's roots, directly where that is right.
type Options struct {
	// EndpointURL replaces AWS's endpoints, as a VPC endpoint or an emulator does:
	// http or https, a host name or an address, and a port if it is not 80 or 443.
	// Over http nothing is encrypted or verified. Empty for AWS's own.
	EndpointURL string

	// CAs is a PEM bundle: who may have signed the endpoint's certificate. Empty
	// for Amazon's roots.
	CAs []byte

	FIPS      bool // AWS's endpoints with FIPS 140 modules
	DualStack bool // AWS's endpoints with IPv4 and IPv6

	Direct Direct // empty for DirectAuto
	Mode   Mode   // empty for ModeAuto

	// AllowARNs bound which functions may be invoked; none: all. AllowRoles bound which
	// roles may be assumed; none: none. Whoever may write a service's entry chooses both,
	// and the invoking Envoy's own IAM role then acts on it.
	AllowARNs, AllowRoles Bounds

	// Datacenter is that of proxies of which none is known. A proxy invokes
	// directly only what is of its own datacenter; empty: those never do.
	Datacenter string
}

func (o Options) equal(other Options) bool {
	cas, others := o.CAs, other.CAs
	o.CAs, other.CAs = nil, nil
	return bytes.Equal(cas, others) && reflect.DeepEqual(o, other)
}

// Validate says what is wrong with the options.
func (o Options) Validate() error {
	var errs []error
	if o.EndpointURL != "" {
		if _, err := parseEndpoint(o.EndpointURL); err != nil {
			errs = append(errs, err)
		}
		if o.FIPS || o.DualStack {
			errs = append(errs, errors.New("FIPS and dual-stack choose among AWS's endpoints: they cannot be combined with an endpoint URL"))
		}
	}
	if _, err := bundle(o.CAs); err != nil {
		errs = append(errs, err)
	}
	errs = append(errs, o.AllowARNs.Validate(), o.AllowRoles.Validate())
	switch o.Direct {
	case "", DirectAuto, DirectAutoFailover, DirectNever:
	default:
		errs = append(errs, fmt.Errorf("direct is %q: neither %s, %s nor %s", o.Direct, DirectAuto, DirectAutoFailover, DirectNever))
	}
	switch o.Mode {
	case "", ModeAuto, ModeCluster, ModeListener:
	default:
		errs = append(errs, fmt.Errorf("mode is %q: neither %s, %s nor %s", o.Mode, ModeAuto, ModeCluster, ModeListener))
	}
	return errors.Join(errs...)
}

// parseEndpoint reads an endpoint's URL. The error does not repeat a URL with
// user information in it.
func parseEndpoint(s string) (endpoint, error) {
	u, err := url.Parse(s)
	if err != nil {
		return endpoint{}, errors.New("the endpoint URL is not a URL")
	}
	if u.User != nil {
		return endpoint{}, errors.New("the endpoint URL holds user information")
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return endpoint{}, fmt.Errorf("endpoint URL %q: neither http nor https", s)
	}
	if (u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.Fragment != "" {
		return endpoint{}, fmt.Errorf("endpoint URL %q: more than a host and a port", s)
	}
	e := endpoint{host: strings.ToLower(u.Hostname()), tls: u.Scheme == "https", port: 80}
	if e.tls {
		e.port = 443
	}
	if address, err := netip.ParseAddr(e.host); err == nil {
		if address.Zone() != "" || address.IsUnspecified() {
			return endpoint{}, fmt.Errorf("endpoint URL %q: no address to connect to", s)
		}
		e.host, e.ip = address.String(), true
	} else if !isHostName(e.host) {
		return endpoint{}, fmt.Errorf("endpoint URL %q: %q is no host name", s, u.Hostname())
	}
	if port := u.Port(); port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return endpoint{}, fmt.Errorf("endpoint URL %q: %q is no port", s, port)
		}
		e.port = uint32(n)
	}
	return e, nil
}

// isHostName accepts names of letters, digits, - and _, of at most 253 characters
// (RFC 1123; _ occurs in private zones). One of digits and dots alone would be a
// mistyped address.
func isHostName(s string) bool {
	if len(s) > 253 || strings.Trim(s, "0123456789.") == "" {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		if strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

// bundle is the certificates of a PEM bundle and nothing else of it: each cluster
// carries them, comments would only make it longer. Empty means Amazon's roots.
func bundle(bytes []byte) (string, error) {
	if len(bytes) == 0 {
		bytes = amazonRoots
	}
	var out strings.Builder
	for {
		block, rest := pem.Decode(bytes)
		if block == nil {
			break
		}
		bytes = rest
		if block.Type != "CERTIFICATE" {
			return "", fmt.Errorf("the CA bundle holds a %s beside certificates", strings.ToLower(block.Type))
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return "", fmt.Errorf("reading the CA bundle: %w", err)
		}
		if err := pem.Encode(&out, &pem.Block{Type: block.Type, Bytes: block.Bytes}); err != nil {
			return "", fmt.Errorf("reading the CA bundle: %w", err)
		}
	}
	if out.Len() == 0 {
		return "", errors.New("the CA bundle holds no certificate")
	}
	return out.String(), nil
}
