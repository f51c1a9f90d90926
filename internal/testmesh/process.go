package testmesh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// stopDeadline is how long Stop waits before it kills.
const stopDeadline = 10 * time.Second

// Command says what a Process runs.
type Command struct {
	Name string   // for messages and the log file, such as "consul"
	Path string   // of the program
	Args []string // without the program's name

	// Env is the whole environment; nothing is inherited. See Environ.
	Env []string

	// Dir is the working folder, and holds NAME.log. It must exist.
	Dir string

	// StopSignal is what Stop sends; the default is SIGTERM.
	StopSignal syscall.Signal
}

// Process is a program of its own session, whose process group never outlives us.
//
// A parent-death signal would not do: Linux ties it to the thread that started the
// program, and it does not reach the program's own children (ministack's function
// workers). So each Process has a guard, a shell that blocks on a pipe whose other
// end only we hold. If we die, however, the pipe closes, and the guard kills the group.
// The program itself waits at a gate until its guard stands, so there is no moment
// in which it could be left behind.
type Process struct {
	cmd     Command
	pid     int
	logPath string
	release io.WriteCloser // the guard's pipe

	asked  atomic.Bool   // somebody of ours sent a signal, so an end is no surprise
	exited chan struct{} // closed when the program has ended and its group is gone
	err    error         // of Wait; read after exited is closed
}

// gateScript waits for a line on descriptor 3, then becomes the program "$@".
const gateScript = `read -r _ <&3 || exit 1; exec 3<&-; exec "$@"`

// guardScript kills process group $1 unless a line arrives before its input ends.
// It ignores what a terminal sends, as it must outlive us.
const guardScript = `trap "" INT TERM HUP QUIT; read -r _ || kill -s KILL -- "-$1"`

// StartProcess starts a program. Its output is appended to Dir/NAME.log.
func StartProcess(cmd Command) (*Process, error) {
	p, err := startProcess(cmd)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", cmd.Name, err)
	}
	return p, nil
}

// again starts the next run of a part; p is the last one, nil before the first.
func (p *Process) again(cmd Command) (*Process, error) {
	if p != nil && p.Running() {
		return nil, fmt.Errorf("starting %s: it runs already", cmd.Name)
	}
	return StartProcess(cmd)
}

func startProcess(c Command) (*Process, error) {
	if c.StopSignal == 0 {
		c.StopSignal = syscall.SIGTERM
	}
	p := &Process{cmd: c, logPath: filepath.Join(c.Dir, c.Name+".log"), exited: make(chan struct{})}
	log, err := os.OpenFile(p.logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	gateRead, gateWrite, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer gateWrite.Close() // without the line: the program never begins
	defer gateRead.Close()

	program := exec.Command("/bin/sh", append([]string{"-c", gateScript, "gate", c.Path}, c.Args...)...)
	program.Dir, program.Env = c.Dir, c.Env
	// Files, not pipes: Wait must not depend on what the program's children hold open.
	program.Stdout, program.Stderr = log, log
	program.ExtraFiles = []*os.File{gateRead}
	program.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := program.Start(); err != nil {
		return nil, err
	}
	p.pid = program.Process.Pid

	guard := exec.Command("/bin/sh", "-c", guardScript, "guard", fmt.Sprint(p.pid))
	guard.Env = []string{"PATH=/usr/bin:/bin"}
	guard.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	p.release, err = guard.StdinPipe()
	if err == nil {
		err = guard.Start()
	}
	if err != nil {
		_ = gateWrite.Close()
		_ = program.Wait()
		return nil, fmt.Errorf("starting its guard: %w", err)
	}
	go p.wait(program, guard)
	if _, err := io.WriteString(gateWrite, "go\n"); err != nil {
		p.Kill()
		return nil, fmt.Errorf("opening its gate: %w", err)
	}
	return p, nil
}

// wait owns both children until they have ended.
func (p *Process) wait(program, guard *exec.Cmd) {
	p.err = program.Wait()
	p.endGroup()
	_, _ = io.WriteString(p.release, "done\n")
	_ = p.release.Close()
	_ = guard.Wait()
	close(p.exited)
}

// endGroup kills what the program left in its group and waits until that is gone. The
// wait is bounded to 2 s, against a child that the kernel cannot end yet.
func (p *Process) endGroup() {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 400 {
		if syscall.Kill(-p.pid, syscall.SIGKILL) != nil || !groupLives(p.pid) { // ESRCH
			return
		}
		<-tick.C
	}
}

// groupLives reports whether a process group has a member that is not a zombie. Orphans
// are collected by the machine's init, which may take its time or not exist, and a
// zombie holds no port and no file.
func groupLives(group int) bool {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range stats {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has just gone
		}
		// "PID (COMMAND) STATE PPID PGRP ..."; the command may hold anything.
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if len(fields) > 2 && fields[0] != "Z" && fields[0] != "X" && fields[2] == strconv.Itoa(group) {
			return true
		}
	}
	return false
}

// Pid is the program's process id, which is also its group's and its session's.
func (p *Process) Pid() int { return p.pid }

// Exited is closed when the program and its children are gone.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Err is how the program ended, nil for exit code 0. Before the end it is nil.
func (p *Process) Err() error {
	select {
	case <-p.exited:
		return p.err
	default:
		return nil
	}
}

// Running reports whether the program has not ended yet.
func (p *Process) Running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// Signal sends a signal to the program alone. After its end it does nothing.
func (p *Process) Signal(sig syscall.Signal) {
	if p.Running() {
		p.asked.Store(true)
		_ = syscall.Kill(p.pid, sig)
	}
}

// Stop sends StopSignal to the program, and kills its group if it is still there
// after 10 seconds. It returns when all of it is gone, and an error if the program
// had to be killed, or had ended before anybody asked it to.
func (p *Process) Stop() error { return p.stop(stopDeadline) }

func (p *Process) stop(deadline time.Duration) error {
	if !p.Running() && !p.asked.Load() {
		return fmt.Errorf("stopping %s: it had ended by itself (%w); last lines of its log:\n%s", p.cmd.Name, orExit0(p.err), p.Tail(25))
	}
	p.Signal(p.cmd.StopSignal)
	timer := time.NewTimer(deadline)
	defer timer.Stop()
	select {
	case <-p.exited:
		return nil
	case <-timer.C:
		p.Kill()
		return fmt.Errorf("stopping %s: still running %s after %s, so killed", p.cmd.Name, deadline, p.cmd.StopSignal)
	}
}

// Kill ends the group with SIGKILL, which leaves the program no chance to tidy up,
// and returns when it is gone.
func (p *Process) Kill() {
	if p.Running() {
		p.asked.Store(true)
		_ = syscall.Kill(-p.pid, syscall.SIGKILL)
	}
	<-p.exited
}

// LogPath is the file that holds the program's output, of earlier runs too.
func (p *Process) LogPath() string { return p.logPath }

// Tail is the last n lines of the output.
func (p *Process) Tail(n int) string { return tailFile(p.logPath, n) }

// Ready polls until ready returns nil, the program ends, or ctx ends. The error
// holds the last reason and the last lines of the output.
func (p *Process) Ready(ctx context.Context, ready func(context.Context) error) error {
	pollCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-p.exited:
			cancel()
		case <-pollCtx.Done():
		}
	}()
	err := Poll(pollCtx, ready)
	switch {
	case err == nil:
		return nil
	case !p.Running():
		return fmt.Errorf("waiting for %s: it ended (%w); last lines of its log:\n%s", p.cmd.Name, orExit0(p.err), p.Tail(25))
	default:
		return fmt.Errorf("waiting for %s: %w; last lines of its log:\n%s", p.cmd.Name, err, p.Tail(25))
	}
}

var errExit0 = errors.New("exit status 0")

func orExit0(err error) error {
	if err == nil {
		return errExit0
	}
	return err
}
