package testmesh

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// Link is a fake network: TCP connections pass through it to one target, and it fails
// as networks, firewalls and dead machines do, on demand. It works until told
// otherwise; a target that is not there closes connections as soon as they come.
type Link struct {
	addr    string
	target  string
	running sync.WaitGroup // the listener, and two copiers a connection

	mu       sync.Mutex
	listener net.Listener // nil while it refuses
	conns    map[net.Conn]struct{}
	closed   bool
	lit      chan struct{} // closed while bytes pass
}

// StartLink listens on a port of its own for connections to target (host:port).
func StartLink(ports *Ports, target string) (*Link, error) {
	port, err := ports.Get()
	if err != nil {
		return nil, err
	}
	l := &Link{addr: loopback(port), target: target, conns: map[net.Conn]struct{}{}, lit: make(chan struct{})}
	close(l.lit)
	if err := l.Mend(); err != nil {
		return nil, err
	}
	return l, nil
}

// Addr is where to connect, host:port.
func (l *Link) Addr() string { return l.addr }

// Cut resets every connection. New ones pass.
func (l *Link) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cutLocked()
}

// Refuse resets every connection, and refuses new ones until Mend.
func (l *Link) Refuse() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refuseLocked()
}

// Darken is a black hole: until Mend no byte passes, nor does the end of a connection,
// and nobody is told. New connections are taken, and hear nothing.
func (l *Link) Darken() {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.lit:
		l.lit = make(chan struct{})
	default:
	}
}

// Mend lets connections pass again. What was held up while it was dark arrives late, as
// after a cable that was put back.
func (l *Link) Mend() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.lit:
	default:
		close(l.lit)
	}
	if l.listener != nil || l.closed {
		return nil
	}
	listener, err := net.Listen("tcp", l.addr)
	if err != nil {
		return fmt.Errorf("starting the link to %s: %w", l.target, err)
	}
	l.listener = listener
	l.running.Go(func() { l.accept(listener) })
	return nil
}

// Close ends everything, and returns when nothing runs any more.
func (l *Link) Close() {
	l.mu.Lock()
	l.closed = true
	l.refuseLocked()
	select {
	case <-l.lit:
	default:
		close(l.lit)
	}
	l.mu.Unlock()
	l.running.Wait()
}

func (l *Link) refuseLocked() {
	if l.listener != nil {
		_ = l.listener.Close()
		l.listener = nil
	}
	l.cutLocked()
}

func (l *Link) cutLocked() {
	for conn := range l.conns {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // a reset instead of a polite end
		}
		_ = conn.Close()
	}
}

func (l *Link) accept(listener net.Listener) {
	for {
		near, err := listener.Accept()
		if err != nil {
			return
		}
		l.running.Go(func() { l.carry(near) })
	}
}

// carry passes a connection on until it ends.
func (l *Link) carry(near net.Conn) {
	if !l.keep(near) {
		return
	}
	defer l.drop(near)
	l.wait()
	far, err := net.Dial("tcp", l.target)
	if err != nil || !l.keep(far) {
		return
	}
	defer l.drop(far)
	var both sync.WaitGroup
	both.Go(func() { l.pass(far, near) })
	both.Go(func() { l.pass(near, far) })
	both.Wait()
}

// pass copies until the source ends, and then ends the other side.
func (l *Link) pass(to, from net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		l.wait()
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				_ = from.Close()
				return
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			if half, ok := to.(*net.TCPConn); ok {
				_ = half.CloseWrite()
			}
			return
		case err != nil:
			_ = to.Close()
			return
		}
	}
}

// wait returns when bytes may pass.
func (l *Link) wait() {
	l.mu.Lock()
	lit := l.lit
	l.mu.Unlock()
	<-lit
}

// keep notes a connection, or closes it if there may be none.
func (l *Link) keep(conn net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.listener == nil {
		_ = conn.Close()
		return false
	}
	l.conns[conn] = struct{}{}
	return true
}

func (l *Link) drop(conn net.Conn) {
	_ = conn.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, conn)
}
