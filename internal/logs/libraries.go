package logs

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"

	"google.golang.org/grpc/grpclog"
)

// current gets what libraries have to say; nil: nobody does.
var current atomic.Pointer[slog.Logger]

// Libraries has the libraries of this process that would write lines of their own to
// stderr log to this logger from now on: gRPC, and what uses Go's package log, such as
// net/http. AWS's SDK takes its logger with its configuration, and has none of us.
func Libraries(to *slog.Logger) {
	current.Store(to)
	log.SetFlags(0)
	log.SetOutput(lines{})
}

// lines is where Go's package log writes, a line at a time.
type lines struct{}

// Write is io.Writer's.
func (lines) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	level := slog.LevelWarn
	if strings.HasPrefix(text, "http: TLS handshake error") { // each peer that tries can cause one
		level = slog.LevelDebug
	}
	say(level, text)
	return len(line), nil
}

func say(level slog.Level, text string) {
	if to := current.Load(); to != nil {
		to.Log(context.Background(), level, text, "from", "library")
	}
}

// gRPC wants its logger before anything else of it runs, hence the only init.
func init() { grpclog.SetLoggerV2(grpcLog{}) }

// grpcLog is gRPC's log. Its errors are warnings of ours, since what they mean for us is
// said by who uses it. Its warnings, which it repeats with each attempt to connect, are
// there to look for a fault, and the rest is never asked for.
type grpcLog struct{}

var _ grpclog.LoggerV2 = grpcLog{}

// The methods of grpclog.LoggerV2.

func (grpcLog) Info(...any)           {}
func (grpcLog) Infoln(...any)         {}
func (grpcLog) Infof(string, ...any)  {}
func (grpcLog) Warning(args ...any)   { say(slog.LevelDebug, "grpc: "+fmt.Sprint(args...)) }
func (grpcLog) Warningln(args ...any) { say(slog.LevelDebug, "grpc: "+spaced(args)) }
func (grpcLog) Error(args ...any)     { say(slog.LevelWarn, "grpc: "+fmt.Sprint(args...)) }
func (grpcLog) Errorln(args ...any)   { say(slog.LevelWarn, "grpc: "+spaced(args)) }
func (grpcLog) V(int) bool            { return false }

func (grpcLog) Warningf(format string, args ...any) {
	say(slog.LevelDebug, "grpc: "+fmt.Sprintf(format, args...))
}

func (grpcLog) Errorf(format string, args ...any) {
	say(slog.LevelWarn, "grpc: "+fmt.Sprintf(format, args...))
}

// Those that end the process.

func (grpcLog) Fatal(args ...any)                 { die("grpc: " + fmt.Sprint(args...)) }
func (grpcLog) Fatalln(args ...any)               { die("grpc: " + spaced(args)) }
func (grpcLog) Fatalf(format string, args ...any) { die("grpc: " + fmt.Sprintf(format, args...)) }

func spaced(args []any) string { return strings.TrimSpace(fmt.Sprintln(args...)) }

func die(text string) {
	say(slog.LevelError, text)
	os.Exit(1)
}
