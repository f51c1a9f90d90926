package testmesh

import (
	"net"
	"testing"
)

func TestPortsAreNotShared(t *testing.T) {
	a, b := TestPorts(t), TestPorts(t)
	seen := map[int]bool{}
	for range 2 * blockSize {
		for _, ports := range []*Ports{a, b} {
			n, err := ports.Get()
			if err != nil {
				t.Fatal(err)
			}
			if seen[n] || n < firstPort || n > lastPort {
				t.Fatalf("port %d was given before or is out of range", n)
			}
			seen[n] = true
		}
	}
}

func TestPortsPassOverTaken(t *testing.T) {
	ports := TestPorts(t)
	first, err := ports.Get()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", loopback(first+1))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	second, err := ports.Get()
	if err != nil {
		t.Fatal(err)
	}
	if second == first+1 {
		t.Errorf("port %d was given although it is in use", second)
	}
}
