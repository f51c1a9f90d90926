package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/lambdamesh/lambdamesh/registrator"
)

const (
	// progressLine is how often a line on a terminal is written over.
	progressLine = 100 * time.Millisecond

	// progressPlain is how often a line is written elsewhere: a log is to be read later.
	progressPlain = 5 * time.Second
)

// progress tells a person how far a run has come.
type progress struct {
	w        io.Writer
	log      *slog.Logger // gets the lines instead of w; nil: none
	terminal bool
	now      func() time.Time

	mu    sync.Mutex
	stage registrator.Stage
	begun time.Time // of the stage
	told  time.Time // when a line was last written
	done  int
	total int
	open  bool // a line on the terminal has no end yet
}

// newProgress tells on w, which is a terminal if it is one.
func newProgress(w io.Writer) *progress {
	p := &progress{w: w, now: time.Now}
	if file, ok := w.(*os.File); ok {
		info, err := file.Stat()
		p.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return p
}

// step is a registrator.WithProgress.
func (p *progress) step(s registrator.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if s.Stage != p.stage {
		p.closeLocked()
		p.stage, p.begun, p.told, p.done, p.total = s.Stage, now, now, 0, 0
	}
	p.done += s.Done
	p.total = max(p.total, s.Total)
	every := progressPlain
	if p.terminal && p.log == nil {
		every = progressLine
	}
	if now.Sub(p.told) < every {
		return
	}
	p.told = now
	switch {
	case p.log != nil:
		p.log.Info(p.textLocked(now))
	case p.terminal:
		fmt.Fprintf(p.w, "\r\x1b[K%s", p.textLocked(now))
		p.open = true
	default:
		fmt.Fprintln(p.w, p.textLocked(now))
	}
}

// textLocked is how far it has come, how fast, and what is left.
func (p *progress) textLocked(now time.Time) string {
	text := fmt.Sprintf("%s: %d", p.stage, p.done)
	if p.total > 0 {
		text += fmt.Sprintf(" of %d", p.total)
	}
	rate := float64(p.done) / max(now.Sub(p.begun).Seconds(), 0.001)
	text += fmt.Sprintf(", %.0f a second", rate)
	if left := p.total - p.done; left > 0 && rate > 0 {
		text += fmt.Sprintf(", %s left", time.Duration(float64(left)/rate*float64(time.Second)).Round(time.Second))
	}
	return text
}

// close ends the line on a terminal.
func (p *progress) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closeLocked()
}

func (p *progress) closeLocked() {
	if p.open {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.open = false
	}
}
