package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/cobra"
)

// reload re-reads the configuration file at each SIGHUP until the function that it
// returns is called. Of a process that runs, the log level changes at once; files of
// certificates are read again when they change, with or without it. Of all else it says
// that a restart is needed. A file with a mistake leaves what is in force.
func (f *logFlags) reload(cmd *cobra.Command, log *slog.Logger) (stop func()) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	ctx, cancel := context.WithCancel(cmd.Context())
	var waiting sync.WaitGroup
	waiting.Go(func() {
		inForce, _ := cmd.Context().Value(configKey{}).(*configFile)
		for {
			select {
			case <-ctx.Done():
				return
			case <-hangups:
				inForce = f.reread(cmd, log, inForce)
			}
		}
	})
	return func() {
		signal.Stop(hangups)
		cancel()
		waiting.Wait()
	}
}

// reread reads the file once more, and returns which is then in force.
func (f *logFlags) reread(cmd *cobra.Command, log *slog.Logger, inForce *configFile) *configFile {
	if inForce == nil {
		log.Warn("there is no configuration file to read again (--config)")
		return nil
	}
	file, err := readConfig(inForce.path)
	if err == nil {
		err = file.check(cmd.Root())
	}
	if err != nil {
		log.Error("the configuration file has a mistake, the one in force stays", "error", err)
		return inForce
	}
	const level = "log-level"
	file.applied = inForce.applied
	var restart []string
	for _, name := range file.differs(inForce) {
		switch flag := cmd.Flags().Lookup(name); {
		case flag == nil: // another command's
		case flag.Changed && !inForce.applied[name]: // the command line or the environment goes before the file
		case name == level:
			was := f.level
			f.level = "info"
			if at := slices.IndexFunc(file.settings, func(s setting) bool { return s.name == level }); at >= 0 {
				f.level = file.settings[at].values[0]
				file.applied[level] = true
			}
			f.set()
			log.Info("the log level is another", "was", was, "is", f.level)
		default:
			restart = append(restart, name)
		}
	}
	if len(restart) > 0 {
		log.Warn("settings have changed that need a restart", "settings", strings.Join(restart, ", "))
	} else {
		log.Info("the configuration file was read again", "file", file.path)
	}
	return file
}

// differs names the settings that another file has otherwise, or only one of them has,
// sorted.
func (c *configFile) differs(other *configFile) []string {
	values := func(of *configFile) map[string]string {
		all := map[string]string{}
		for _, s := range of.settings {
			all[s.name] = strings.Join(s.values, "\x00")
		}
		return all
	}
	mine, others := values(c), values(other)
	var names []string
	for name, value := range mine {
		if was, there := others[name]; !there || was != value {
			names = append(names, name)
		}
	}
	for name := range others {
		if _, there := mine[name]; !there {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
