package consul

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// lookUpTimeout bounds one look-up: the system's resolver may take half a minute to
// give up.
const lookUpTimeout = 5 * time.Second

// seed is a configured address and the servers that it stands for.
type seed struct {
	GRPCAddr

	addrs   []string // of the last look-up that succeeded, in order: host:port, or unix:///path
	problem string   // of the last look-up; empty if it succeeded
}

func newSeed(addr GRPCAddr) *seed {
	s := &seed{GRPCAddr: addr}
	if !s.named() {
		s.addrs = []string{addr.String()}
	}
	return s
}

// named reports whether there is something to look up. The name localhost has an
// address of each family, and they are one server: dialing it tries both.
func (s *seed) named() bool {
	return s.Path == "" && s.Host != "localhost" && net.ParseIP(s.Host) == nil
}

// authority is what its servers are called.
func (s *seed) authority() string {
	if s.Path != "" {
		return "localhost"
	}
	return s.String()
}

// lookUpSeeds looks all names up anew. One that cannot be looked up keeps the servers
// that it has.
func (u *Upstream) lookUpSeeds(ctx context.Context) {
	var group sync.WaitGroup
	for _, s := range u.seeds { // the slice never changes, what it points to does
		if !s.named() {
			continue
		}
		group.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, lookUpTimeout)
			defer cancel()
			ips, err := u.cfg.lookUp(ctx, s.Host)
			u.mu.Lock()
			defer u.mu.Unlock()
			if err != nil {
				if s.problem == "" {
					u.log.Warn("a name of Consul's servers cannot be looked up, those known stay", "name", s.Host, "reason", err)
				}
				s.problem = err.Error()
				return
			}
			s.problem = ""
			s.addrs = join(ips, s.Port)
		})
	}
	group.Wait()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.reconcileLocked()
}

// join makes addresses of IPs, each once and always in the same order.
func join(ips []netip.Addr, port string) []string {
	ips = slices.Clone(ips)
	for i, ip := range ips {
		ips[i] = ip.Unmap()
	}
	slices.SortFunc(ips, netip.Addr.Compare)
	var addrs []string
	for _, ip := range slices.Compact(ips) {
		addrs = append(addrs, net.JoinHostPort(ip.String(), port))
	}
	return addrs
}

func lookUp(ctx context.Context, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}
