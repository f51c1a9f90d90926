package lambda

import "time"

// Function is a Lambda function, or one alias of it, as a service of the mesh:
// which one, and how it is to be invoked. The zero value of each setting is its
// default. Functions are compared with ==.
type Function struct {
	ARN ARN

	// PayloadPassthrough hands the request's body to the function as it is;
	// otherwise Envoy wraps request and answer in its JSON envelope.
	PayloadPassthrough bool

	// Asynchronous invokes without waiting for the answer: the caller gets 202.
	Asynchronous bool

	// Timeout is the function's own, 1 s to 15 min in whole seconds; zero when
	// unknown.
	Timeout time.Duration

	// CredentialsProfile is a profile of the credentials file of the Envoy that
	// invokes; empty for Envoy's own chain of credentials.
	CredentialsProfile string

	// RoleARN is assumed, with ExternalID if there is one, before invoking.
	RoleARN    string
	ExternalID string

	// URL calls the function's URL instead of the Invoke API. FunctionURL is that URL, in
	// the form that ParseURL returns; its ID is not in the ARN.
	URL         bool
	FunctionURL string

	// RawErrors leaves a function's error the 200 that AWS answers it with;
	// otherwise it becomes 502, or 504 if the function ran into its timeout.
	RawErrors bool

	// Retries is how often a throttled call is tried again, 0 to 10.
	Retries int
}
