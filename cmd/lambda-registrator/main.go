// Command lambda-registrator is the registrator as a function of AWS Lambda: the
// program "bootstrap" of the runtime provided.al2023. EventBridge invokes it with
// schedules, which are full syncs, and with events of functions, each of which is a
// look at its function.
//
// It takes the environment of Consul's own Lambda registrator; see settings.
package main

import (
	"context"
	"log/slog"
	"os"

	awslambda "github.com/aws/aws-lambda-go/lambda"

	"github.com/lambdamesh/lambdamesh/internal/logs"
)

func main() {
	h, err := open(context.Background(), os.LookupEnv)
	if err != nil {
		logs.New(os.Stderr, logs.JSON, slog.LevelError).Error("registrator cannot start", "error", err)
		os.Exit(2)
	}
	awslambda.Start(h.handle)
}
