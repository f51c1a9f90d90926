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
	"github.com/spf13/pflag"
)

// reloader re-reads the configuration file at each SIGHUP. Of a process that runs, the
// log level, the sync interval and the regions change at once; files of certificates are
// read again when they change, with or without it. Of all else it says that a restart is
// needed. A file with a mistake leaves what is in force.
type reloader struct {
	cmd     *cobra.Command
	log     *slog.Logger
	logs    *logFlags
	hangups chan os.Signal
	cancel  context.CancelFunc
	waiting sync.WaitGroup

	// adjust puts what these flags say of a registrator in force, of those that have the
	// names; nil: there is none that runs.
	adjust func(next *registratorFlags, names []string) error
}

// newReloader makes one. From now on a SIGHUP does not end the process; it waits until
// start.
func newReloader(cmd *cobra.Command, log *slog.Logger, logs *logFlags) *reloader {
	r := &reloader{cmd: cmd, log: log, logs: logs, hangups: make(chan os.Signal, 1), cancel: func() {}}
	signal.Notify(r.hangups, syscall.SIGHUP)
	return r
}

// start begins to heed them.
func (r *reloader) start(adjust func(next *registratorFlags, names []string) error) {
	r.adjust = adjust
	var ctx context.Context
	ctx, r.cancel = context.WithCancel(r.cmd.Context())
	r.waiting.Go(func() {
		inForce, _ := r.cmd.Context().Value(configKey{}).(*configFile)
		for {
			select {
			case <-ctx.Done():
				return
			case <-r.hangups:
				inForce = r.reread(inForce)
			}
		}
	})
}

// stop ends it.
func (r *reloader) stop() {
	signal.Stop(r.hangups)
	r.cancel()
	r.waiting.Wait()
}

// reread reads the file once more, and returns which is then in force.
func (r *reloader) reread(inForce *configFile) *configFile {
	if inForce == nil {
		r.log.Warn("there is no configuration file to read again (--config)")
		return nil
	}
	stays := func(err error) *configFile {
		r.log.Error("the configuration file has a mistake, the one in force stays", "error", err)
		return inForce
	}
	file, err := readConfig(inForce.path)
	if err == nil {
		err = file.check(r.cmd.Root())
	}
	if err != nil {
		return stays(err)
	}
	var next registratorFlags
	var nextLog logFlags
	values := pflag.NewFlagSet("", pflag.ContinueOnError)
	next.declare(values)
	nextLog.declare(values)
	if err := file.apply(values, namesOf(r.cmd.Root())); err != nil {
		return stays(err)
	}
	var ofRegistrator, restart []string
	relevel := false
	for _, name := range file.differs(inForce) {
		switch flag := r.cmd.Flags().Lookup(name); {
		case flag == nil: // another command's
		case flag.Changed && !inForce.applied[name]: // the command line or the environment goes before the file
		case name == flagLogLevel:
			relevel = true
		case r.adjust != nil && (name == flagSyncInterval || name == flagRegions):
			ofRegistrator = append(ofRegistrator, name)
		default:
			restart = append(restart, name)
		}
	}
	if len(ofRegistrator) > 0 {
		if err := r.adjust(&next, ofRegistrator); err != nil {
			return stays(err)
		}
	}
	if relevel {
		was := r.logs.level
		r.logs.level = nextLog.level
		r.logs.set()
		r.log.Info("the log level is another", "was", was, "is", r.logs.level)
	}
	if len(restart) > 0 {
		r.log.Warn("settings have changed that need a restart", "settings", strings.Join(restart, ", "))
	} else {
		r.log.Info("the configuration file was read again", "file", file.path)
	}
	file.applied = inForce.applied // the flags themselves are as they were at the start
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
