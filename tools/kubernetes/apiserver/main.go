// Command apiserver is Kubernetes' API server, with all its flags, and an etcd inside: a
// cluster without nodes, in which what is written is judged and kept, and nothing runs.
package main

import (
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() {
	cmd := app.NewAPIServerCommand()
	dir := cmd.Flags().String("etcd-dir", "", "existing folder for etcd, which serves the one URL of --etcd-servers")
	serve := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		servers, err := cmd.Flags().GetStringSlice("etcd-servers")
		if err != nil || len(servers) != 1 || *dir == "" {
			return fmt.Errorf("--etcd-dir and one URL of --etcd-servers are needed, which are %v (%w)", servers, err)
		}
		etcd, err := start(*dir, servers[0])
		if err != nil {
			return err
		}
		defer etcd.Close()
		return serve(cmd, args)
	}
	os.Exit(cli.Run(cmd))
}

// start starts etcd and returns when it serves. Its peers, of which there are none, would
// come by a socket in the current folder.
func start(dir, server string) (*embed.Etcd, error) {
	client, err := url.Parse(server)
	if err != nil {
		return nil, err
	}
	peer := url.URL{Scheme: "unix", Host: "localhost:0"}
	cfg := embed.NewConfig()
	cfg.Dir = dir
	cfg.LogLevel = "error"
	cfg.UnsafeNoFsync = true
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{*client}, []url.URL{*client}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	etcd, err := embed.StartEtcd(cfg)
	if err != nil {
		return nil, fmt.Errorf("starting etcd: %w", err)
	}
	select {
	case <-etcd.Server.ReadyNotify():
		return etcd, nil
	case err := <-etcd.Err():
		return nil, fmt.Errorf("starting etcd: %w", err)
	case <-time.After(time.Minute):
		etcd.Close()
		return nil, fmt.Errorf("etcd does not serve at %s", server)
	}
}
