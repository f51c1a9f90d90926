package testmesh

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
)

// Ports hands out ports that nobody else uses. "Bind port 0, close, pass the number
// on" does not: the kernel may give the number away before the part binds it, to
// another test or to an outgoing connection. So ports come in blocks of 50 from below
// the kernel's ephemeral range (32768 and up by default). A block belongs to whoever
// has bound its abstract Unix socket: such names live in the network namespace, as
// ports do, and the kernel frees them when their process dies. So parallel test
// processes never get the same port. A port that some other program has bound is passed
// over. A part that is restarted finds its port free, as no one else is told it.
type Ports struct {
	mu   sync.Mutex
	held []net.Listener // the blocks' sockets
	next int            // the next port of the last block
	end  int
}

const (
	firstPort = 15000
	lastPort  = 32700
	blockSize = 50
)

// NewPorts makes an allocator. Close it when the parts have ended.
func NewPorts() *Ports { return &Ports{} }

// Get returns a free port of 127.0.0.1, for TCP and UDP. Each call returns another.
func (p *Ports) Get() (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		if p.next == p.end {
			if err := p.takeBlockLocked(); err != nil {
				return 0, fmt.Errorf("finding a free port: %w", err)
			}
		}
		port := p.next
		p.next++
		if free(port) {
			return port, nil
		}
	}
}

// Fill gives each of the variables that is 0 a port.
func (p *Ports) Fill(ports ...*int) error {
	for _, port := range ports {
		if *port != 0 {
			continue
		}
		n, err := p.Get()
		if err != nil {
			return err
		}
		*port = n
	}
	return nil
}

// Close gives the ports back.
func (p *Ports) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.held {
		_ = l.Close()
	}
	p.held, p.next, p.end = nil, 0, 0
}

// takeBlockLocked takes the first block that no one holds.
func (p *Ports) takeBlockLocked() error {
	for first := firstPort; first+blockSize <= lastPort; first += blockSize {
		l, err := net.Listen("unix", fmt.Sprintf("@lambdamesh-test-ports-%d", first))
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			return err
		}
		p.held = append(p.held, l)
		p.next, p.end = first, first+blockSize
		return nil
	}
	return errors.New("every block of ports is taken")
}

func free(port int) bool {
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	tcp, err := net.Listen("tcp", addr)
	if err != nil {
		return false
	}
	_ = tcp.Close()
	udp, err := net.ListenPacket("udp", addr)
	if err != nil {
		return false
	}
	_ = udp.Close()
	return true
}
