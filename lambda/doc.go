// Package lambda is the vocabulary that the halves of lambdamesh share: what a
// Lambda function is to a Consul mesh, the tags that ask for it, the Meta that
// says it, and the immutable Table of all of them.
//
// It uses the standard library alone and knows neither Envoy nor Consul nor AWS.
package lambda
