// Command lambda-registrator is the registrator as a function of AWS Lambda: the
// program "bootstrap" of the runtime provided.al2023. EventBridge invokes it with
// schedules, which are full syncs, and with events of functions, each of which is a
// look at its function.
//
// It takes the environment of Consul's own Lambda registrator; see settings.
package main

import (
	"context"
	"fmt"
	"os"

	awslambda "github.com/aws/aws-lambda-go/lambda"
)

func main() {
	h, err := open(context.Background(), os.LookupEnv)
	if err != nil {
		fmt.Fprintf(os.Stderr, "lambda-registrator: %v\n", err)
		os.Exit(2)
	}
	awslambda.Start(h.handle)
}
