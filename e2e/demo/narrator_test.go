package main

import (
	"errors"
	"regexp"
	"strings"
	"testing"
)

var endsWithTime = regexp.MustCompile(`===    0\.\d s$`)

// TestHeadline: each headline fits a terminal and ends with a time.
func TestHeadline(t *testing.T) {
	for i, s := range steps() {
		var out strings.Builder
		newNarrator(&out, false, nil).headline(i+1, len(steps()), s.title)
		line := strings.TrimSpace(out.String())
		if len(line) != width || !endsWithTime.MatchString(line) {
			t.Errorf("%d characters: %q", len(line), line)
		}
	}
}

type broken struct{}

var errBroken = errors.New("broken pipe")

func (broken) Write([]byte) (int, error) { return 0, errBroken }

// TestReaderGone: the first write that fails is told, and it alone.
func TestReaderGone(t *testing.T) {
	var told []error
	n := newNarrator(broken{}, true, func(err error) { told = append(told, err) })
	n.line("one")
	n.line("two")
	if len(told) != 1 || !errors.Is(told[0], errBroken) {
		t.Errorf("told %v", told)
	}
}

// TestReadable: of hello's answer the repeated headers are left out; anything else is
// shown as it is.
func TestReadable(t *testing.T) {
	got := readable([]byte(`{"function": "hello", "path": "/a?b&c", "method": "GET", "message": "hi", "headers": {"cookie": "x"}}`))
	want := "{\n  \"function\": \"hello\",\n  \"method\": \"GET\",\n  \"path\": \"/a?b&c\",\n  \"message\": \"hi\",\n  ... (and the request's headers)\n}"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := readable([]byte("RBAC: access denied\n")); got != "RBAC: access denied" {
		t.Errorf("got %q", got)
	}
}
