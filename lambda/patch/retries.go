package patch

// retriesHeldAnswers says that the router may retry an answer that a cluster's filter
// held back, as aws_lambda does to unpack the envelope, and lua to read an error.
// Before 1.37 Envoy then crashes: 1.36.2 and 1.36.4 end with SIGSEGV when a function
// answers a status that the route retries; 1.37.0, 1.38.3 and 1.40.0 retry it.
func (v Version) retriesHeldAnswers() bool { return v.atLeast(1, 37) }
