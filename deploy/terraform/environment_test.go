//go:build extra

package terraform

import (
	"go/ast"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/consul/api"
)

// checkEnvironment: the environment that the function gets has each variable that the
// program reads, and no others, and the program starts with it.
func checkEnvironment(t *testing.T, runs results) {
	read := []string{api.HTTPAddrEnvName} // by Consul's client
	inspect(t, "../../cmd/lambda-registrator/settings.go", func(n ast.Node) {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return
		}
		if name, ok := call.Fun.(*ast.Ident); !ok || name.Name != "env" || len(call.Args) != 1 {
			return
		}
		variable, err := strconv.Unquote(call.Args[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		read = append(read, variable)
	})
	// It is read to be refused.
	read = slices.DeleteFunc(read, func(name string) bool { return name == "CONSUL_EXTENSION_DATA_PREFIX" })
	slices.Sort(read)
	if diff := cmp.Diff(read, slices.Sorted(maps.Keys(environment(runs.state(t, "everything"))))); diff != "" {
		t.Errorf("read, and given when everything is:\n%s", diff)
	}

	program := filepath.Join(t.TempDir(), "bootstrap")
	execute(t, "../..", nil, "go", "build", "-tags", "lambda.norpc", "-o", program, "./cmd/lambda-registrator")
	for _, run := range []string{"defaults", "names_of_the_documentation", "everything"} {
		t.Run(run, func(t *testing.T) { start(t, program, environment(runs.state(t, run))) })
	}
}

// object is one of JSON's.
type object = map[string]any

func environment(made module) object {
	block := made.values("aws_lambda_function")[0]["environment"].([]any)[0]
	return block.(object)["variables"].(object)
}

// start starts the program as AWS Lambda does, and waits until it asks for its first
// invocation: then it has taken its settings.
func start(t *testing.T, program string, variables object) {
	asked := make(chan string, 1)
	runtime := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case asked <- r.URL.Path:
		default:
		}
		<-r.Context().Done()
	}))
	defer runtime.Close()
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = []string{"AWS_REGION=us-east-1", "AWS_LAMBDA_RUNTIME_API=" + strings.TrimPrefix(runtime.URL, "http://"), "HOME=" + os.DevNull}
	for name, value := range variables {
		cmd.Env = append(cmd.Env, name+"="+value.(string))
	}
	var log strings.Builder
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	got := ""
	select {
	case got = <-asked:
	case <-ended:
	}
	_ = cmd.Process.Kill()
	<-ended
	if got != "/2018-06-01/runtime/invocation/next" {
		t.Errorf("it asks for %q, and says:\n%s", got, log.String())
	}
}
