package main

import (
	"io"
	"log/slog"

	"github.com/spf13/pflag"
)

// logFlags say what is logged, and how.
type logFlags struct{ level, format string }

func (f *logFlags) declare(flags *pflag.FlagSet) {
	choiceVar(flags, &f.level, "log-level", "least severity that is logged", "info", "debug", "warn", "error")
	choiceVar(flags, &f.format, "log-format", "form of the log on stderr", "text", "json")
}

func (f *logFlags) logger(w io.Writer) *slog.Logger {
	levels := map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	}
	options := &slog.HandlerOptions{Level: levels[f.level]}
	if f.format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
