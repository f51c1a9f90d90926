package testmesh

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// family is a program with a child, both of which ignore polite signals, as a part
// with workers may.
func family(dir string) Command {
	return Command{
		Name: "family", Path: "/bin/sh", Dir: dir, Env: Environ(dir),
		Args: []string{"-c", `trap "" INT TERM; sleep 1000 & echo started; wait; wait`},
	}
}

// waitGone waits until a process group has no living member.
func waitGone(t *testing.T, group int) {
	t.Helper()
	if err := Poll(Context(t), func(context.Context) error {
		if groupLives(group) {
			return errors.New("the process group is still there")
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

func startFamily(t *testing.T) *Process {
	t.Helper()
	p, err := StartProcess(family(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	if err := p.Ready(Context(t), func(context.Context) error {
		if p.Tail(1) != "started" {
			return errors.New("not started")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestKillEndsTheGroup(t *testing.T) {
	p := startFamily(t)
	p.Kill()
	waitGone(t, p.Pid())
	if p.Err() == nil || p.Running() {
		t.Errorf("after Kill: error %v, running %t", p.Err(), p.Running())
	}
}

// TestEndOfProgramEndsItsChildren: a worker must not outlive a program that ends by
// itself.
func TestEndOfProgramEndsItsChildren(t *testing.T) {
	dir := t.TempDir()
	p, err := StartProcess(Command{
		Name: "parent", Path: "/bin/sh", Dir: dir, Env: Environ(dir), Args: []string{"-c", "sleep 1000 & echo bye; exit 3"},
	})
	if err != nil {
		t.Fatal(err)
	}
	<-p.Exited()
	waitGone(t, p.Pid())
	if exit, ok := errors.AsType[*exec.ExitError](p.Err()); !ok || exit.ExitCode() != 3 {
		t.Errorf("ended with %v, want exit status 3", p.Err())
	}
	if p.Tail(1) != "bye" {
		t.Errorf("the log ends with %q", p.Tail(1))
	}
	if err := p.Stop(); err == nil || !strings.Contains(err.Error(), "ended by itself (exit status 3)") {
		t.Errorf("Stop of a program that ended by itself returned %v", err)
	}
	err = p.Ready(t.Context(), func(context.Context) error { return errors.New("no") })
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "bye") {
		t.Errorf("waiting for a program that ended says %v", err)
	}
}

// TestNothingOutlivesUs kills a program like this one without a chance to tidy up.
func TestNothingOutlivesUs(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	victim := exec.Command(self)
	victim.Env = append(os.Environ(), victimDir+"="+t.TempDir())
	out, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	var group int
	line, err := bufio.NewReader(out).ReadString('\n')
	if _, scanErr := fmt.Sscan(line, &group); err != nil || scanErr != nil {
		t.Fatalf("the victim said %q: %v", line, errors.Join(err, scanErr))
	}
	if !groupLives(group) {
		t.Fatal("the victim's process does not run")
	}
	if err := victim.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = victim.Wait()
	waitGone(t, group)
}

func TestStopKillsWhatDoesNotStop(t *testing.T) {
	p := startFamily(t)
	start := time.Now()
	if err := p.stop(100 * time.Millisecond); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("Stop of a program that ignores it returned %v", err)
	}
	if took := time.Since(start); took > stopDeadline/2 {
		t.Errorf("it took %s", took)
	}
	waitGone(t, p.Pid())
	if err := p.Stop(); err != nil {
		t.Errorf("Stop after the end returned %v", err)
	}
}

func TestMissingProgram(t *testing.T) {
	dir := t.TempDir()
	p, err := StartProcess(Command{Name: "missing", Path: dir + "/missing", Dir: dir, Env: Environ(dir)})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Ready(Context(t), func(context.Context) error { return errors.New("no") }); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("waiting for a program that does not exist says %v", err)
	}
}

func TestPollKeepsTheReason(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	reason := errors.New("the reason")
	if err := Poll(ctx, func(context.Context) error { return reason }); !errors.Is(err, reason) {
		t.Errorf("Poll returned %v", err)
	}
}
