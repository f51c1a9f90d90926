package main

import (
	"io"
	"log/slog"

	"github.com/lambdamesh/lambdamesh/internal/logs"
	"github.com/spf13/pflag"
)

// Flags that are asked for by name.
const (
	flagLogLevel  = "log-level"
	flagLogFormat = "log-format"
)

// logFlags say what is logged, and how.
type logFlags struct {
	level, format string

	least slog.LevelVar // what level says
}

func (f *logFlags) declare(flags *pflag.FlagSet) {
	choiceVar(flags, &f.level, flagLogLevel, "least severity that is logged", "info", "debug", "warn", "error")
	choiceVar(flags, &f.format, flagLogFormat, "form of the log on stderr", "text", logs.JSON)
}

// logger is the process's, which libraries log to as well.
func (f *logFlags) logger(w io.Writer) *slog.Logger {
	f.set()
	log := logs.New(w, f.format, &f.least)
	logs.Libraries(log)
	return log
}

// set puts the level in force, for loggers that are there too.
func (f *logFlags) set() {
	f.least.Set(map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	}[f.level])
}
