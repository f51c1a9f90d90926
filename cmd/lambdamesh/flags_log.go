package main

import (
	"io"
	"log/slog"

	"github.com/spf13/pflag"
)

// logFlags say what is logged, and how.
type logFlags struct {
	level, format string

	least slog.LevelVar // what level says
}

func (f *logFlags) declare(flags *pflag.FlagSet) {
	choiceVar(flags, &f.level, "log-level", "least severity that is logged", "info", "debug", "warn", "error")
	choiceVar(flags, &f.format, "log-format", "form of the log on stderr", "text", "json")
}

func (f *logFlags) logger(w io.Writer) *slog.Logger {
	f.set()
	options := &slog.HandlerOptions{Level: &f.least}
	if f.format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// set puts the level in force, for loggers that are there too.
func (f *logFlags) set() {
	f.least.Set(map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	}[f.level])
}
