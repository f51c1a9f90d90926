package testmesh

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
)

// echoServer answers each line with the same line, until the test ends.
func echoServer(t *testing.T) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { _, _ = io.Copy(conn, conn); _ = conn.Close() })
		}
	})
	t.Cleanup(func() { _ = l.Close(); running.Wait() })
	return l.Addr().String()
}

// line is one connection through a Link.
type line struct {
	net.Conn
	from *bufio.Reader
}

func dialLink(t *testing.T, l *Link) line {
	t.Helper()
	conn, err := net.Dial("tcp", l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return line{conn, bufio.NewReader(conn)}
}

func (l line) say(t *testing.T, text string) {
	t.Helper()
	if _, err := fmt.Fprintln(l, text); err != nil {
		t.Fatal(err)
	}
}

func (l line) hear(t *testing.T, want string) {
	t.Helper()
	if got, err := l.from.ReadString('\n'); err != nil || got != want+"\n" {
		t.Fatalf("heard %q (%v), want %q", got, err, want)
	}
}

func TestLink(t *testing.T) {
	l, err := StartLink(TestPorts(t), echoServer(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	one := dialLink(t, l)
	one.say(t, "hello")
	one.hear(t, "hello")

	l.Darken()
	one.say(t, "in the dark")
	two := dialLink(t, l)
	two.say(t, "who is there")
	if err := l.Mend(); err != nil {
		t.Fatal(err)
	}
	one.hear(t, "in the dark")
	two.hear(t, "who is there")

	l.Cut()
	if _, err := one.from.ReadByte(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("after a cut a read says %v", err)
	}
	three := dialLink(t, l)
	three.say(t, "again")
	three.hear(t, "again")

	l.Refuse()
	if _, err := three.from.ReadByte(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a connection that is refused from now on says %v", err)
	}
	if _, err := net.Dial("tcp", l.Addr()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a new connection says %v", err)
	}
	if err := l.Mend(); err != nil {
		t.Fatal(err)
	}
	four := dialLink(t, l)
	four.say(t, "at last")
	four.hear(t, "at last")

	// The end of one side is told to the other, and what was under way arrives.
	four.say(t, "bye")
	if err := four.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	four.hear(t, "bye")
	if _, err := four.from.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("the end is told as %v", err)
	}
}
