package admin_test

import (
	"testing"

	"github.com/lambdamesh/lambdamesh/internal/admin"
	"github.com/lambdamesh/lambdamesh/lambda"
)

// TestMode: how a function is invoked, by its settings.
func TestMode(t *testing.T) {
	for want, settings := range map[string]map[string]string{
		"synchronous":                   nil,
		"asynchronous":                  {lambda.KeyInvocationMode: "ASYNCHRONOUS"},
		"synchronous, payload as it is": {lambda.KeyPayloadPassthrough: "true"},
		"by its URL":                    {lambda.KeyInvokeMode: "url"},
	} {
		if got := (admin.Service{State: lambda.StateOK, Settings: settings}).Mode(); got != want {
			t.Errorf("%v: %q, want %q", settings, got, want)
		}
	}
}
