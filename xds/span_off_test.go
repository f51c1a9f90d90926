package xds

import "testing"

// Without a trace a push costs nothing more.
func TestNoSpanIsFree(t *testing.T) {
	p := push{&response{typeURL: typeCluster}, causeTable}
	from := tracedBy(t.Context()).to(Proxy{ID: "web"})
	if n := testing.AllocsPerRun(100, func() { sent(from.sending(p), nil) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
