package main

import (
	"fmt"
	"net"
	"strconv"
)

// hostPort checks an address to listen on. Port 0 means any.
func hostPort(flag, addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("--%s: %q is not host:port", flag, addr)
	}
	return nil
}

// listen binds an address.
func listen(flag, addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, failed(fmt.Errorf("--%s: %w", flag, err))
	}
	return l, nil
}
