// Package sigv4proxy is what an AWS emulator lacks: a front for its Lambda invoke
// endpoint that lets a request through only if its Signature Version 4 is right.
//
// The signature is computed again from the request as it arrived, with the signer of
// aws-sdk-go-v2, and compared. Everything else that AWS refuses is refused as well: no
// signature, another key, scope, region or service, a skewed date, a Host that was not
// signed, a body other than the one that was hashed. A refusal is a 403 in the shape of
// AWS's JSON services. Each call is recorded, those refused too, with the connection it
// came on, so that tests can ask about it and wait for it.
//
// It is for tests and the demo.
package sigv4proxy
