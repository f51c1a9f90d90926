package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// width is that of a headline. indent stands before every line below it.
const (
	width  = 78
	indent = "    "
)

// narrator prints what the demo does.
type narrator struct {
	out     io.Writer
	colour  bool
	began   time.Time
	onError func(error) // of the first write that failed
	failed  bool
}

func newNarrator(out io.Writer, colour bool, onError func(error)) *narrator {
	return &narrator{out: out, colour: colour, began: time.Now(), onError: onError}
}

// headline begins a step. At the right stands the time since the demo's start.
func (n *narrator) headline(number, of int, title string) {
	at := fmt.Sprintf("%8s", seconds(time.Since(n.began)))
	left := fmt.Sprintf("== %2d/%d  %s ", number, of, title)
	line := left + strings.Repeat("=", max(2, width-len(left)-len(at)-1)) + " " + at
	n.write("\n%s\n", n.paint("1;36", line))
}

// line prints one line of a step; text of several lines is indented as a whole.
func (n *narrator) line(format string, args ...any) {
	text := strings.TrimRight(fmt.Sprintf(format, args...), "\n")
	n.write("%s%s\n", indent, strings.ReplaceAll(text, "\n", "\n"+indent))
}

// fact prints one line of a list: a name and what there is to say of it.
func (n *narrator) fact(name, format string, args ...any) {
	n.line("%-*s %s", factWidth, name, fmt.Sprintf(format, args...))
}

// factWidth is that of a fact's name.
const factWidth = 12

// command prints a line that the reader could type.
func (n *narrator) command(format string, args ...any) {
	n.line("%s", n.paint("33", "$ "+fmt.Sprintf(format, args...)))
}

// good prints the outcome that a step is about.
func (n *narrator) good(format string, args ...any) {
	n.line("%s", n.paint("32", fmt.Sprintf(format, args...)))
}

// done ends a step.
func (n *narrator) done(took time.Duration) { n.line("%s", n.paint("2", "done in "+seconds(took))) }

// plain prints lines as they are.
func (n *narrator) plain(format string, args ...any) { n.write(format+"\n", args...) }

// Write prints the progress of a part that is fetched.
func (n *narrator) Write(p []byte) (int, error) {
	n.line("%s", p)
	return len(p), nil
}

func (n *narrator) write(format string, args ...any) {
	if n.failed {
		return
	}
	if _, err := fmt.Fprintf(n.out, format, args...); err != nil {
		n.failed = true
		n.onError(err)
	}
}

func (n *narrator) paint(code, text string) string {
	if !n.colour {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// colourful says whether out is a terminal that shows colours and whose user wants
// them (https://no-color.org).
func colourful(out *os.File) bool {
	info, err := out.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
