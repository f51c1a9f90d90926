package admin_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lambdamesh/lambdamesh/internal/admin"
)

func TestGuardValidate(t *testing.T) {
	whole := admin.Guard{CertFile: "c", KeyFile: "k", TokenFile: "t"}
	for _, test := range []struct {
		addr  string
		guard admin.Guard
		want  string // a part of the error; empty for none
	}{
		{"127.0.0.1:1", admin.Guard{}, ""},
		{"[::1]:1", admin.Guard{}, ""},
		{"localhost:1", admin.Guard{}, ""},
		{"0.0.0.0:1", admin.Guard{}, "not on loopback"},
		{":1", admin.Guard{}, "not on loopback"},
		{"[::]:1", admin.Guard{}, "not on loopback"},
		{"10.0.0.1:1", admin.Guard{}, "not on loopback"},
		{"localhost.example:1", admin.Guard{}, "not on loopback"},
		{"0.0.0.0:1", admin.Guard{TokenFile: "t"}, "go together"},
		{"127.0.0.1:1", admin.Guard{CertFile: "c", KeyFile: "k"}, "go together"},
		{"0.0.0.0:1", whole, ""},
	} {
		err := test.guard.Validate(test.addr)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s %+v: %v, want %q", test.addr, test.guard, err, test.want)
		}
	}
}

func TestGuardToken(t *testing.T) {
	if token, err := (admin.Guard{}).Token(); token != "" || err != nil {
		t.Errorf("no guard: %q, %v", token, err)
	}
	file := filepath.Join(t.TempDir(), "token")
	for content, want := range map[string]string{" s3cret\n": "s3cret", " \n": ""} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		token, err := admin.Guard{TokenFile: file}.Token()
		if token != want || (err == nil) != (want != "") {
			t.Errorf("%q is read as %q, %v", content, token, err)
		}
	}
	if _, err := (admin.Guard{TokenFile: file + "x"}).Token(); err == nil {
		t.Error("a missing file is no error")
	}
}
