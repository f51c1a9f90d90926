//go:build release

package images

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// nobody listens there: the port is kept for a service that is long out of use.
const nobody = "127.0.0.1:1"

// start runs what the image's entrypoint names with the image's file system, which is in
// dir, for root and as its user, as an engine does. Where the test is not run as root, as who runs it and
// beside the machine's own files. Standard error goes to the writer.
func (i image) start(t *testing.T, dir string, stderr io.Writer, env []string, args ...string) *exec.Cmd {
	t.Helper()
	program := i.Config.Entrypoint[0]
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = slices.Concat(i.Config.Env, env)
	cmd.Dir = "/"
	cmd.Stderr = stderr
	if os.Geteuid() == 0 {
		for folder := dir; folder != filepath.Clean(os.TempDir()) && folder != "/"; folder = filepath.Dir(folder) {
			if err := os.Chmod(folder, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: dir, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
	} else {
		cmd.Path = filepath.Join(dir, program)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// here is the image for this machine.
func here(t *testing.T, layout string) image {
	t.Helper()
	i, found := images(t, layout)["linux/"+runtime.GOARCH]
	if !found {
		t.Fatalf("%s has no image for %s", layout, runtime.GOARCH)
	}
	return i
}

// page is what the install page has engines run whose command begins so: the words after
// the image's name.
func page(t *testing.T, begins string) []string {
	t.Helper()
	text, err := os.ReadFile("../../docs/install-packages.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range regexp.MustCompile(`(?m)^    docker run .* ghcr\.io/lambdamesh/lambdamesh:VERSION (.*)$`).FindAllStringSubmatch(string(text), -1) {
		if strings.HasPrefix(match[1], begins+" ") {
			return strings.Fields(match[1])
		}
	}
	t.Fatalf("the page has no %s", begins)
	return nil
}

// TestConfigCheck looks over a configuration that is mounted.
func TestConfigCheck(t *testing.T) {
	i := here(t, "lambdamesh")
	dir := i.unpack(t)
	text, err := os.ReadFile("../packages/config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir+"/etc/lambdamesh", 0o755); err != nil {
		t.Fatal(err)
	}
	args := page(t, "config check")
	file := dir + args[len(args)-1]
	for mistake, want := range map[string]int{"": 0, "mistake: true\n": 2} {
		if err := os.WriteFile(file, append(text, mistake...), 0o644); err != nil {
			t.Fatal(err)
		}
		if os.Geteuid() != 0 {
			args[len(args)-1] = file // without a root of its own
		}
		cmd := i.start(t, dir, io.Discard, nil, args...)
		if _ = cmd.Wait(); cmd.ProcessState.ExitCode() != want {
			t.Errorf("with %q it ends with %s, want %d", mistake, cmd.ProcessState, want)
		}
	}
}

// TestServe starts the server in its image, looks after its health as an orchestrator
// does, and ends it.
func TestServe(t *testing.T) {
	logged := &lines{seen: make(chan string, 100)}
	i := here(t, "lambdamesh")
	// What is given later goes before.
	args := append(page(t, "serve"), "--xds-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0",
		"--probe-addr", "127.0.0.1:0", "--consul-http-addr", nobody, "--consul-grpc-addr", nobody, "--drain-timeout", "1s")
	cmd := i.start(t, i.unpack(t), logged, nil, args...)
	_, addr, _ := strings.Cut(logged.wait(t, "for=probe address="), "address=")
	// No Consul is there: it lives, and is not ready.
	for path, want := range map[string]int{"/livez": http.StatusOK, "/readyz": http.StatusServiceUnavailable} {
		response, err := http.Get("http://" + addr + path)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s answers %d, want %d", path, response.StatusCode, want)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ends with %v", err)
	}
}

// TestLambda starts the registrator in its image as AWS Lambda does: it fetches an event
// from the Runtime API (https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html),
// a stand-in of it here, and says what came of it. There is no AWS to read from, and
// the error says so.
func TestLambda(t *testing.T) {
	const event = `{"version":"0","id":"1","detail-type":"Scheduled Event","source":"aws.events","account":"123456789012","region":"us-east-1","time":"2026-01-01T00:00:00Z","resources":[],"detail":{}}`
	answers := make(chan string, 1)
	events := make(chan struct{}, 1)
	events <- struct{}{}
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/2018-06-01/runtime/invocation/next" {
			text, _ := io.ReadAll(r.Body)
			answers <- r.URL.Path + " " + string(text)
			w.WriteHeader(http.StatusAccepted)
			return
		}
		select {
		case <-events:
		case <-r.Context().Done():
			return
		}
		w.Header().Set("Lambda-Runtime-Aws-Request-Id", "request-1")
		w.Header().Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(time.Now().Add(time.Minute).UnixMilli()))
		w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:123456789012:function:registrator")
		fmt.Fprint(w, event)
	}))
	i := here(t, "lambda-registrator-"+runtime.GOARCH)
	cmd := i.start(t, i.unpack(t), io.Discard, []string{
		"AWS_LAMBDA_RUNTIME_API=" + strings.TrimPrefix(api.URL, "http://"), "CONSUL_HTTP_ADDR=" + nobody,
		"AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_ENDPOINT_URL=http://" + nobody, "AWS_MAX_ATTEMPTS=1",
	})
	t.Cleanup(func() {
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		_ = cmd.Wait() // killed, and says so
		api.Close()
	})
	select {
	case answer := <-answers:
		if !strings.HasPrefix(answer, "/2018-06-01/runtime/invocation/request-1/error ") || !strings.Contains(answer, nobody) {
			t.Errorf("it answers %s", answer)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it does not answer")
	}
}

// lines is a log that can be waited on.
type lines struct {
	seen chan string
	rest string
}

func (l *lines) Write(text []byte) (int, error) {
	l.rest += string(text)
	for {
		line, rest, whole := strings.Cut(l.rest, "\n")
		if !whole {
			return len(text), nil
		}
		l.rest = rest
		select {
		case l.seen <- line:
		default: // nobody waits for so many
		}
	}
}

// wait returns the first line with these words.
func (l *lines) wait(t *testing.T, words string) string {
	t.Helper()
	late := time.After(20 * time.Second)
	var all []string
	for {
		select {
		case line := <-l.seen:
			if all = append(all, line); strings.Contains(line, words) {
				return line
			}
		case <-late:
			t.Fatalf("it does not say %q:\n%s", words, strings.Join(all, "\n"))
		}
	}
}
