package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// profileEnv names the address that a profiled lambdamesh serves its profiles on.
const profileEnv = "LAMBDAMESH_BENCH_PPROF"

// profiler is laid over lambdamesh's sources, because lambdamesh itself serves no
// profiles and collects no garbage on demand.
const profiler = `package main

import (
	"net/http"
	_ "net/http/pprof"
	"os"
	"runtime"
)

func init() {
	if addr := os.Getenv("` + profileEnv + `"); addr != "" {
		http.HandleFunc("/collect", func(http.ResponseWriter, *http.Request) { runtime.GC() })
		go http.ListenAndServe(addr, nil)
	}
}
`

// overlay writes what "go build -overlay" needs to build the profiler in.
func (b *bench) overlay(root string) (file string, err error) {
	source := filepath.Join(b.dir, "profiler.go")
	if err := os.WriteFile(source, []byte(profiler), 0o600); err != nil {
		return "", err
	}
	text, err := json.Marshal(map[string]any{"Replace": map[string]string{
		filepath.Join(root, "cmd", "lambdamesh", "profiler.go"): source,
	}})
	if err != nil {
		return "", err
	}
	file = filepath.Join(b.dir, "overlay.json")
	return file, os.WriteFile(file, text, 0o600)
}

// measured is a lambdamesh that is measured, with the address of its profiles.
type measured struct {
	*testmesh.Lambdamesh
	profiles string
}

// collect has it collect its garbage.
func (m *measured) collect(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+m.profiles+"/collect", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// keepProfiles writes profiles of a lambdamesh into files until it ends: of its CPU
// for some seconds, then of its heap and goroutines, and so on.
func keepProfiles(addr, prefix string) {
	for n := 1; ; n++ {
		for _, what := range []string{"profile?seconds=1", "heap?gc=1", "goroutine?debug=1"} {
			kind := map[byte]string{'p': "cpu", 'h': "heap", 'g': "goroutines"}[what[0]]
			file := fmt.Sprintf("%s-%d.%s", prefix, n, kind)
			if err := download("http://"+addr+"/debug/pprof/"+what, file); err != nil {
				_ = os.Remove(file)
				return // it has ended, as it does in every measurement
			}
		}
	}
}

func download(url, file string) error {
	resp, err := http.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(f, resp.Body)
	return err
}
