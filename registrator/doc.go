// Package registrator keeps Consul saying what the tags of Lambda functions ask
// for: a service in the catalog and Meta in its service-defaults entry for each.
//
// One run reads AWS (source), works out what is wanted (desired), reads Consul
// (catalog), compares them into a Plan without any side effect (plan), filters it
// (policy), has AWS confirm each deletion and only then writes. What it may touch
// is decided in one place (ownership). A look (look), for which an event asks, is a run
// that knows of single functions alone. A read that failed in part is a failed
// run: nothing is planned, nothing is deleted.
package registrator
