package golden

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
)

// recorder is a testing.TB that notes failures instead of failing.
type recorder struct {
	testing.TB
	failures []string
}

func (r *recorder) Helper() {}
func (r *recorder) Errorf(format string, _ ...any) {
	r.failures = append(r.failures, format)
}

func TestMessageHoldsNoKey(t *testing.T) {
	key, err := PKI(LeafKey)
	if err != nil {
		t.Fatal(err)
	}
	want := &corev3.DataSource{Specifier: &corev3.DataSource_InlineString{InlineString: key}}
	b, err := Message(want)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(b); got != `{"inlineString":"@pki/leaf-key.pem"}` {
		t.Errorf("Message = %s", got)
	}
	got := new(corev3.DataSource)
	if err := ReadMessage(b, got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
}

func TestEqual(t *testing.T) {
	defer func(old bool) { *update = old }(*update)
	file := filepath.Join(t.TempDir(), "case", "output.json")

	*update = true
	Equal(t, file, []byte("one\n"))
	*update = false
	Equal(t, file, []byte("one\n"))
	r := &recorder{TB: t}
	Equal(r, file, []byte("two\n"))
	if len(r.failures) != 1 {
		t.Errorf("a difference was reported %d times, not once", len(r.failures))
	}
}

func TestOnly(t *testing.T) {
	defer func(old bool) { *update = old }(*update)
	dir := t.TempDir()
	mine, orphan, other := filepath.Join(dir, "mine.json"), filepath.Join(dir, "orphan.json"), filepath.Join(dir, "other.txt")
	for _, file := range []string{mine, orphan, other} {
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	*update = false
	r := &recorder{TB: t}
	Only(r, filepath.Join(dir, "*.json"), mine)
	if len(r.failures) != 1 {
		t.Errorf("an orphan was reported %d times, not once", len(r.failures))
	}
	*update = true
	Only(t, filepath.Join(dir, "*.json"), mine)
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(left, " "), mine+" "+other; got != want {
		t.Errorf("left are %s, want %s", got, want)
	}
}
