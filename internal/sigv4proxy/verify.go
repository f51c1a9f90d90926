package sigv4proxy

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// verifier holds what a signature is checked against.
type verifier struct {
	credentials aws.Credentials
	service     string
	region      string        // of requests whose path has no ARN
	maxSkew     time.Duration // either way
}

// amzDate is the form of X-Amz-Date.
const amzDate = "20060102T150405Z"

// verify returns nil if the request, with this body, bears a right signature at now.
func (v verifier) verify(r *http.Request, body []byte, now time.Time) *refusal {
	header := r.Header.Values("Authorization")
	if len(header) == 0 {
		return refuse(CodeMissingToken, "Missing Authentication Token")
	}
	if len(header) > 1 {
		return refuse(CodeIncomplete, "Authorization header must be present once.")
	}
	auth, refused := parseAuthorization(header[0])
	if refused != nil {
		return refused
	}
	if auth.accessKey != v.credentials.AccessKeyID || r.Header.Get("X-Amz-Security-Token") != v.credentials.SessionToken {
		return refuse(CodeUnrecognizedClient, "The security token included in the request is invalid.")
	}
	if refused := v.checkScope(auth, r.URL); refused != nil {
		return refused
	}
	at, refused := v.checkDate(auth, r.Header.Get("X-Amz-Date"), now)
	if refused != nil {
		return refused
	}
	if refused := checkSignedHeaders(auth, r.Header); refused != nil {
		return refused
	}
	hash := hashOf(body)
	if claimed := r.Header.Get("X-Amz-Content-Sha256"); claimed != "" && claimed != hash {
		return refuse(CodeInvalidSignature, "The value of x-amz-content-sha256 does not match the body.")
	}
	want, err := v.sign(r, auth, hash, int64(len(body)), at)
	if err != nil {
		return refuse(CodeInvalidSignature, err.Error())
	}
	if subtle.ConstantTimeCompare([]byte(want), []byte(auth.signature)) != 1 {
		return refuse(CodeInvalidSignature, "The request signature we calculated does not match the signature you provided. "+
			"Check your AWS Secret Access Key and signing method. Consult the service documentation for details.")
	}
	return nil
}

func (v verifier) checkScope(auth authorization, u *url.URL) *refusal {
	region := v.region
	if arnRegion, found := regionOf(u); found {
		region = arnRegion
	}
	if auth.region != region {
		return refuse(CodeInvalidSignature, fmt.Sprintf("Credential should be scoped to a valid region, not '%s'; expected '%s'.", auth.region, region))
	}
	if auth.service != v.service {
		return refuse(CodeInvalidSignature, fmt.Sprintf("Credential should be scoped to correct service: '%s'.", v.service))
	}
	return nil
}

func (v verifier) checkDate(auth authorization, date string, now time.Time) (time.Time, *refusal) {
	at, err := time.Parse(amzDate, date)
	if err != nil {
		return at, refuse(CodeIncomplete, "Authorization header requires existence of a valid 'X-Amz-Date' header.")
	}
	switch {
	case auth.date != date[:8]:
		return at, refuse(CodeInvalidSignature, fmt.Sprintf("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date: '%s' != '%s'.", auth.date, date[:8]))
	case at.Before(now.Add(-v.maxSkew)):
		return at, refuse(CodeInvalidSignature, fmt.Sprintf("Signature expired: %s is now earlier than %s (%s - %s).", date, now.Add(-v.maxSkew).UTC().Format(amzDate), now.UTC().Format(amzDate), v.maxSkew))
	case at.After(now.Add(v.maxSkew)):
		return at, refuse(CodeInvalidSignature, fmt.Sprintf("Signature not yet current: %s is still later than %s (%s + %s).", date, now.Add(v.maxSkew).UTC().Format(amzDate), now.UTC().Format(amzDate), v.maxSkew))
	}
	return at, nil
}

// checkSignedHeaders refuses what AWS refuses: Host and the X-Amz-* headers that are
// present must be signed.
func checkSignedHeaders(auth authorization, header http.Header) *refusal {
	if !auth.signs("host") {
		return refuse(CodeInvalidSignature, "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
	}
	for name := range header {
		lower := strings.ToLower(name)
		if strings.HasPrefix(lower, "x-amz-") && !auth.signs(lower) {
			return refuse(CodeInvalidSignature, fmt.Sprintf("There were headers present in the request which were not signed: '%s'.", lower))
		}
	}
	return nil
}

// sign returns the signature that the SDK's signer computes for the request as it
// arrived, over the headers that auth names.
func (v verifier) sign(r *http.Request, auth authorization, hash string, length int64, at time.Time) (string, error) {
	path, _, _ := strings.Cut(r.RequestURI, "?")
	again := &http.Request{
		Method: r.Method,
		Host:   r.Host,
		Header: http.Header{},
		// Opaque keeps the path byte for byte: a colon of an ARN may have come raw, as
		// Envoy sends it, or as %3A, as the SDK does. The canonical path differs.
		URL: &url.URL{Opaque: "//" + r.Host + path, RawQuery: r.URL.RawQuery},
	}
	for _, name := range auth.signedHeaders {
		switch name {
		case "host", "x-amz-date", "x-amz-security-token": // the signer's own business
		case "content-length":
			again.ContentLength = length // signed by the signer if not 0
		default:
			values := r.Header.Values(name)
			if len(values) == 0 {
				return "", fmt.Errorf("the signed header %s is not in the request", name)
			}
			// A lower-case key, because the signer leaves out some headers by their
			// canonical name (User-Agent) that another signer may well have signed.
			again.Header[name] = values
		}
	}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableHeaderHoisting = true })
	if err := signer.SignHTTP(context.Background(), v.credentials, again, hash, v.service, auth.region, at); err != nil {
		return "", fmt.Errorf("computing the signature: %w", err)
	}
	want, refused := parseAuthorization(again.Header.Get("Authorization"))
	if refused != nil {
		return "", fmt.Errorf("reading the computed signature: %s", refused.message)
	}
	return want.signature, nil
}

// regionOf is the region of the ARN that the path of an invocation names, if any:
// /2015-03-31/functions/arn:aws:lambda:REGION:ACCOUNT:function:NAME/invocations.
func regionOf(u *url.URL) (region string, found bool) {
	_, rest, _ := strings.Cut(u.Path, "/functions/")
	arn := strings.Split(rest, ":")
	if arn[0] != "arn" || len(arn) < 7 {
		return "", false
	}
	return arn[3], true
}

func hashOf(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}
