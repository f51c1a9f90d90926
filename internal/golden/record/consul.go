package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/hashicorp/consul/api"
)

// server is a Consul in development mode: one server, everything in memory.
type server struct {
	command *exec.Cmd
	exited  chan struct{} // closed when it has ended
	dir     string        // its log
	grpc    string        // address of its xDS
	client  *api.Client
}

// start runs Consul on free ports and waits until it has a leader and a CA.
func start(ctx context.Context, binary string) (*server, error) {
	ports, err := freePorts(5)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "lambdamesh-record-")
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "consul.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	s := &server{dir: dir, exited: make(chan struct{}), grpc: net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[1]))}
	s.command = exec.Command(binary, "agent", "-dev", "-node=server", "-datacenter=dc1",
		"-bind=127.0.0.1", "-client=127.0.0.1", "-grpc-tls-port=-1", "-dns-port=-1", "-serf-wan-port=-1",
		fmt.Sprintf("-http-port=%d", ports[0]), fmt.Sprintf("-grpc-port=%d", ports[1]),
		fmt.Sprintf("-server-port=%d", ports[2]), fmt.Sprintf("-serf-lan-port=%d", ports[3]))
	s.command.Stdout, s.command.Stderr = log, log
	s.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.command.Start(); err != nil {
		return nil, fmt.Errorf("starting Consul: %w", err)
	}
	go func() {
		defer close(s.exited)
		_ = s.command.Wait() // how it ended does not matter: it is ended by a signal
	}()
	s.client, err = api.NewClient(&api.Config{Address: net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[0]))})
	if err == nil {
		err = s.ready(ctx)
	}
	if err != nil {
		_ = s.stop()
		return nil, err
	}
	return s, nil
}

func (s *server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, enough)
	defer cancel()
	poll := time.NewTicker(100 * time.Millisecond)
	defer poll.Stop()
	for {
		_, _, err := s.client.Agent().ConnectCARoots(nil)
		if err == nil {
			return nil
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for Consul: %w", err)
		case <-s.exited:
			log, _ := os.ReadFile(filepath.Join(s.dir, "consul.log"))
			return fmt.Errorf("consul ended at once:\n%s", log)
		}
	}
}

// stop ends Consul and forgets it.
func (s *server) stop() error {
	_ = s.command.Process.Signal(os.Interrupt)
	select {
	case <-s.exited:
	case <-time.After(10 * time.Second):
		_ = s.command.Process.Kill()
		<-s.exited
	}
	return os.RemoveAll(s.dir)
}

// freePorts finds ports that are free on loopback, for TCP at least.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
