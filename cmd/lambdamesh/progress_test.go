package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/lambdamesh/lambdamesh/registrator"
)

func TestProgress(t *testing.T) {
	for _, test := range []struct {
		terminal bool
		want     string
	}{
		{true, "\r\x1b[Kreading functions from AWS: 200, 200 a second\r\x1b[K\r\x1b[Kwriting to Consul: 10 of 100, 10 a second, 9s left\r\x1b[K"},
		{false, "reading functions from AWS: 600, 120 a second\nwriting to Consul: 50 of 100, 10 a second, 5s left\n"},
	} {
		var out bytes.Buffer
		now := time.Unix(0, 0)
		p := &progress{w: &out, terminal: test.terminal, now: func() time.Time { return now }}
		steps := []registrator.Progress{{Stage: registrator.StageReading, Done: 100}}
		if test.terminal {
			steps = append(steps, registrator.Progress{Stage: registrator.StageReading, Done: 100}, registrator.Progress{Stage: registrator.StageWriting, Total: 100}, registrator.Progress{Stage: registrator.StageWriting, Done: 10, Total: 100})
		} else {
			for range 6 {
				steps = append(steps, registrator.Progress{Stage: registrator.StageReading, Done: 100})
			}
			steps = append(steps, registrator.Progress{Stage: registrator.StageWriting, Total: 100})
			for range 7 {
				steps = append(steps, registrator.Progress{Stage: registrator.StageWriting, Done: 10, Total: 100})
			}
		}
		for _, step := range steps {
			p.step(step)
			now = now.Add(time.Second)
		}
		p.close()
		if out.String() != test.want {
			t.Errorf("terminal %t:\n got %q\nwant %q", test.terminal, out.String(), test.want)
		}
	}
}
