package main

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"github.com/lambdamesh/lambdamesh/lambda"
	"github.com/lambdamesh/lambdamesh/registrator"
)

// settings are what the environment says, by the names of Consul's own registrator.
// What is empty has its default. CONSUL_HTTP_ADDR and its kin are read too, by
// Consul's client, and AWS_REGION, by AWS's.
type settings struct {
	nodeName   string     // NODE_NAME: the Consul node that carries the services
	datacenter string     // DATACENTER: only functions that are tagged for it, or for none
	partitions []string   // ENTERPRISE and PARTITIONS (by commas; default "default"); none: Consul's community edition
	pageSize   int        // PAGE_SIZE: most that is asked for on a page of a listing
	logLevel   slog.Level // LOG_LEVEL: trace, debug, info (default), warn or error

	// Names of parameters in Parameter Store, of any type; empty: the environment says
	// it itself (CONSUL_HTTP_TOKEN), or nothing does.
	tokenPath string // CONSUL_HTTP_TOKEN_PATH: Consul's ACL token
	caPath    string // CONSUL_CACERT_PATH: the authority of Consul's certificate, PEM
}

// logLevels are those of Consul's own programs.
var logLevels = map[string]slog.Level{
	"": slog.LevelInfo, "trace": slog.LevelDebug, "debug": slog.LevelDebug,
	"info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
}

// readSettings reads the environment. Errors name the variable.
func readSettings(lookup func(string) (string, bool)) (settings, error) {
	env := func(name string) string {
		value, _ := lookup(name)
		return strings.TrimSpace(value)
	}
	if env("CONSUL_EXTENSION_DATA_PREFIX") != "" {
		return settings{}, errors.New("CONSUL_EXTENSION_DATA_PREFIX: calls from functions into the mesh are not supported, so no certificates are written to Parameter Store; take the variable away")
	}
	s := settings{
		nodeName:   env("NODE_NAME"),
		datacenter: env("DATACENTER"),
		tokenPath:  env("CONSUL_HTTP_TOKEN_PATH"),
		caPath:     env("CONSUL_CACERT_PATH"),
	}
	level, ok := logLevels[strings.ToLower(env("LOG_LEVEL"))]
	if !ok {
		return settings{}, errors.New("LOG_LEVEL: not one of trace, debug, info, warn, error")
	}
	s.logLevel = level
	if text := env("PAGE_SIZE"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n <= 0 {
			return settings{}, errors.New("PAGE_SIZE: not a number above zero")
		}
		s.pageSize = n
	}
	enterprise := false
	if text := env("ENTERPRISE"); text != "" {
		var err error
		if enterprise, err = strconv.ParseBool(text); err != nil {
			return settings{}, errors.New("ENTERPRISE: neither true nor false")
		}
	}
	for name := range strings.SplitSeq(env("PARTITIONS"), ",") {
		if name = strings.TrimSpace(name); name != "" {
			s.partitions = append(s.partitions, name)
		}
	}
	switch {
	case len(s.partitions) > 0 && !enterprise:
		return settings{}, errors.New("PARTITIONS: Consul has partitions with ENTERPRISE=true alone")
	case len(s.partitions) == 0 && enterprise:
		s.partitions = []string{lambda.DefaultName}
	}
	return s, nil
}

// config is that of a registrator, but for its clients.
func (s settings) config() registrator.Config {
	return registrator.Config{
		NodeName: s.nodeName, Datacenter: s.datacenter, Partitions: s.partitions,
		MaxDeleteRatio: registrator.DefaultMaxDeleteRatio,
	}
}

// String names what is set, for the log; there are no secrets in it.
func (s settings) String() string {
	return fmt.Sprintf("node %q, datacenter %q, partitions %q, token from %q, authority from %q",
		s.nodeName, s.datacenter, s.partitions, s.tokenPath, s.caPath)
}
