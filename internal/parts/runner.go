package parts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// tailLines is how much of a failed command's output its error shows.
const tailLines = 20

// runner runs the commands of one fetch and tells how it goes.
type runner struct {
	ctx      context.Context
	label    string // "consul 1.22.5"
	progress io.Writer
	start    time.Time
}

// say prints one line with the time since the fetch began.
func (r *runner) say(format string, args ...any) {
	fmt.Fprintf(r.progress, "%s: %s [%s]\n", r.label, fmt.Sprintf(format, args...), time.Since(r.start).Round(time.Second))
}

// run runs a command in folder dir ("": the current one), with env added to the
// environment. what names the step for people. The error shows the last lines of
// the output.
func (r *runner) run(what, dir string, env []string, name string, args ...string) error {
	r.say("%s", what)
	stop := r.heartbeat(what)
	defer stop()

	cmd := exec.CommandContext(r.ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	// A group of its own, so that the compilers that "go build" starts end with it
	// when the context does.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		if r.ctx.Err() != nil {
			return r.ctx.Err()
		}
		return fmt.Errorf("%s: running %s: %w%s", what, name, err, tail(out.String()))
	}
	return nil
}

// output runs a short command and returns its standard output.
func (r *runner) output(dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(r.ctx, name, args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		var text string
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			text = tail(string(exit.Stderr))
		}
		return "", fmt.Errorf("running %s: %w%s", name, err, text)
	}
	return string(out), nil
}

// heartbeat repeats what every progressEvery until the returned function is called.
func (r *runner) heartbeat(what string) (stop func()) {
	done := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				r.say("still %s", what)
			}
		}
	})
	return func() {
		close(done)
		wait.Wait()
	}
}

// tail is the end of a command's output, as a paragraph for an error.
func tail(out string) string {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) > tailLines {
		lines = lines[len(lines)-tailLines:]
	}
	if len(lines) == 1 && lines[0] == "" {
		return " (it printed nothing)"
	}
	return "\nits last lines:\n  " + strings.Join(lines, "\n  ")
}
