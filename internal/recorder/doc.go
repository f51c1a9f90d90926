// Package recorder is for tests: it stands on the wire of delta ADS streams,
// writes down what was said, and checks the protocol's invariants on it.
//
//   - Proxy passes gRPC on unchanged and records each delta ADS stream.
//   - Conversation is one recorded stream.
//   - Check says where a stream broke the protocol, at any moment.
//   - Settled says what a stream that has come to rest still owes.
//
// It knows nothing of lambdamesh, so that it can judge it.
package recorder
