// Command baseimage makes the base of our container images and runs a command, such as
// ko, that takes it from a registry on loopback for as long as it runs:
//
//	baseimage NOTICES COMMAND [ARGUMENT...]
//
// The command finds the base's name in KO_DEFAULTBASEIMAGE, and the registry as a proxy in
// HTTP_PROXY: ko writes the name into the images, so no port may stand in it.
//
// The base has Mozilla's root certificates, as the Go module golang.org/x/crypto/x509roots
// pins them, and a user without rights; no shell, and no other program. The file NOTICES,
// with the licences of what comes on top, is put into it. The same module and file give
// the same bytes.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: baseimage NOTICES COMMAND [ARGUMENT...]")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := serve(ctx, os.Args[1], func(addr string) error {
		cmd := exec.CommandContext(ctx, os.Args[2], os.Args[3:]...)
		cmd.Env = append(os.Environ(), "KO_DEFAULTBASEIMAGE=base.localhost/"+baseName, "HTTP_PROXY=http://"+addr)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		return cmd.Run()
	})
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "baseimage: %v\n", err)
		os.Exit(1)
	}
}

// baseName is the base's in the registry. Of hosts that end in ".localhost" ko
// asks over plain HTTP, and Go does through a proxy.
const baseName = "lambdamesh-base:pinned"

// serve calls f while the base can be had from the registry whose address it is given.
func serve(ctx context.Context, notices string, f func(addr string) error) (err error) {
	text, err := os.ReadFile(notices)
	if err != nil {
		return err
	}
	index, err := base(text)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: registry.New(registry.Logger(log.New(io.Discard, "", 0)))}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	defer func() {
		err = errors.Join(err, server.Close())
		if served := <-done; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
	}()
	addr := listener.Addr().String()
	ref, err := name.ParseReference(addr + "/" + baseName)
	if err != nil {
		return err
	}
	if err := remote.WriteIndex(ref, index, remote.WithContext(ctx)); err != nil {
		return fmt.Errorf("handing over the base: %w", err)
	}
	return f(addr)
}
