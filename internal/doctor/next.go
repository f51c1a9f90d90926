package doctor

import "strings"

// mending is what to do about a connection that fails, by what its error says. The words
// are those of Go's net, crypto/tls, crypto/x509 and net/http (Go 1.26), which a gRPC
// error carries as text alone.
type mending struct {
	address string // what names the server: a flag or variable
	ca      string // what names the authority
	name    string // what names the server for its certificate
	client  string // what gives a certificate of our own; empty: nothing does
}

// next is what to do.
func (m mending) next(err error) string {
	text := err.Error()
	said := func(words ...string) bool {
		for _, one := range words {
			if strings.Contains(text, one) {
				return true
			}
		}
		return false
	}
	switch {
	case said("certificate required") && m.client == "":
		return "it asks for a certificate of ours, and lambdamesh shows none there: verify_incoming of Consul's tls.grpc must be off, as for Envoys"
	case said("certificate required"):
		return "it asks for a certificate of ours: give one by " + m.client
	case said("has expired or is not yet valid"):
		return "the certificate there has run out, or this machine's clock is wrong: renew it, or set the clock"
	case said("signed by unknown authority"):
		return "it does not know who signed the certificate there: name that authority by " + m.ca
	case said("certificate is valid for", "certificate is not valid for any names", "doesn't contain any IP SANs", "cannot validate certificate for"):
		return "the certificate there is for another name: give one that it has by " + m.name
	case said("gave HTTP response to HTTPS client", "first record does not look like a TLS handshake"):
		return "there is no TLS there: leave https:// or grpcs:// and the authority away, or use the port that has TLS"
	case said("HTTP request to an HTTPS server", "error reading server preface", "malformed HTTP response"):
		return "there is TLS there, or something else than Consul: " + m.address + " wants https:// or grpcs://, or another port"
	case said("connection refused"):
		return "nothing listens there: is " + m.address + " right, with its port, and is Consul up?"
	case said("no such host", "server misbehaving"):
		return "the name is not known here: is " + m.address + " right, and DNS?"
	case said("i/o timeout", "deadline exceeded", "DeadlineExceeded"):
		return "no answer in time: does a firewall or security group stand between here and " + m.address + "?"
	}
	return ""
}
