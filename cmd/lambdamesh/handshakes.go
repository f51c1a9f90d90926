package main

import (
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/grpc/credentials"
	expcredentials "google.golang.org/grpc/experimental/credentials"
)

// handshakesInterval is how often at most the log speaks of handshakes that failed.
const handshakesInterval = 10 * time.Second

// handshakesAgain is after how long it speaks again of a host that fails in the same way:
// an Envoy that cannot connect tries for ever.
const handshakesAgain = time.Hour

// handshakes are TLS for a gRPC server that say in the log why a handshake failed:
// grpc keeps that to itself, and the peer often learns no more than that it was
// refused.
type handshakes struct {
	credentials.TransportCredentials
	log  *slog.Logger
	say  *rate.Sometimes // flood of many hosts
	told *told
}

// told is when the log last spoke of a failure, by host and reason.
type told struct {
	mu   sync.Mutex
	when map[string]time.Time // guarded by mu
}

// first reports whether it has not for handshakesAgain, and notes that it does.
func (t *told) first(key string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if at, ok := t.when[key]; ok && now.Sub(at) < handshakesAgain {
		return false
	}
	maps.DeleteFunc(t.when, func(_ string, at time.Time) bool { return now.Sub(at) >= handshakesAgain })
	t.when[key] = now // one in each handshakesInterval at most
	return true
}

// newHandshakes takes peers that speak HTTP/2 without having agreed on it (ALPN), too:
// consul-dataplane does so.
func newHandshakes(conf *tls.Config, log *slog.Logger) handshakes {
	return handshakes{expcredentials.NewTLSWithALPNDisabled(conf), log, &rate.Sometimes{Interval: handshakesInterval}, &told{when: map[string]time.Time{}}}
}

// ServerHandshake is credentials.TransportCredentials'.
func (h handshakes) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := h.TransportCredentials.ServerHandshake(raw)
	said := !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) // a health check of the port says nothing
	if err != nil && said {
		h.say.Do(func() {
			if h.told.first(failureOf(raw.RemoteAddr(), err), time.Now()) {
				h.log.Warn("a peer could not connect", "peer", raw.RemoteAddr().String(), "reason", explained(err))
			}
		})
	}
	return conn, info, err
}

// failureOf names one, without what differs with each attempt: the peer's port.
func failureOf(peer net.Addr, err error) string {
	host, _, splitErr := net.SplitHostPort(peer.String())
	if splitErr != nil {
		host = peer.String()
	}
	var inner *net.OpError
	if errors.As(err, &inner) {
		err = inner.Err
	}
	return host + " " + err.Error()
}

// Clone is credentials.TransportCredentials'.
func (h handshakes) Clone() credentials.TransportCredentials {
	h.TransportCredentials = h.TransportCredentials.Clone()
	return h
}

// explained adds to an error what the peer is likely to lack.
func explained(err error) string {
	text := err.Error()
	for part, why := range map[string]string{
		"unsupported versions":               "an Envoy speaks at most TLS 1.2 unless its bootstrap sets tls_maximum_protocol_version, see --xds-tls-min-version",
		"didn't provide a certificate":       "--xds-client-ca-file demands one, and Consul's bootstrap command writes none",
		"does not look like a TLS handshake": "the peer was bootstrapped without TLS, see -grpc-ca-file and https:// in -grpc-addr of consul connect envoy",
	} {
		if strings.Contains(text, part) {
			return text + ": " + why
		}
	}
	return text
}
