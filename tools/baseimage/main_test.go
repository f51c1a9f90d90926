package main

import (
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// TestBase: the same twice, but for the notices in it.
func TestBase(t *testing.T) {
	digest := func(notices string) string {
		index, err := base([]byte(notices))
		if err != nil {
			t.Fatal(err)
		}
		hash, err := index.Digest()
		if err != nil {
			t.Fatal(err)
		}
		return hash.String()
	}
	if first := digest("a"); first != digest("a") || first == digest("b") {
		t.Error("the digest does not stand for what is in it")
	}
}

// TestPush pushes all images to a registry, as a release does. What they are is tested
// in deploy/images.
func TestPush(t *testing.T) {
	const out = "build/pushed"
	t.Chdir("../..")
	t.Cleanup(func() { os.RemoveAll(out) })
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	repo := strings.TrimPrefix(server.URL, "http://") + "/lambdamesh"

	cmd := exec.CommandContext(t.Context(), "bash", "scripts/images.sh", "--push", repo)
	cmd.Env = append(os.Environ(), "VERSION=v1.2.3-test", "OUT="+out)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	var want []string
	for _, image := range []string{"lambdamesh:1.2.3-test", "lambda-registrator:1.2.3-test-amd64", "lambda-registrator:1.2.3-test-arm64"} {
		ref, err := name.ParseReference(repo + "/" + image)
		if err != nil {
			t.Fatal(err)
		}
		head, err := remote.Head(ref)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, head.Digest.Hex+"  "+ref.Context().Name())
	}
	text, err := os.ReadFile(out + "/checksums.txt")
	if err != nil {
		t.Fatal(err)
	}
	// The index's two images are in the list too: who fetches one by its digest can check
	// it as well.
	got := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(got) != len(want)+2 || slices.ContainsFunc(want, func(line string) bool { return !slices.Contains(got, line) }) {
		t.Errorf("the digests are %q, want %q and two more", got, want)
	}
}
