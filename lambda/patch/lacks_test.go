package patch

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLacks(t *testing.T) {
	for v, want := range map[Version]int{{1, 30, 4}: 6, {1, 31, 0}: 5, {1, 36, 2}: 2, {1, 38, 0}: 1, {1, 39, 0}: 0, {2, 0, 0}: 0} {
		lacks, supported := v.Lacks()
		if len(lacks) != want || !supported {
			t.Errorf("%v: supported %v, lacks %q, want %d", v, supported, lacks, want)
		}
	}
	for _, v := range []Version{{}, {1, 29, 9}} {
		if _, supported := v.Lacks(); supported {
			t.Errorf("%v is supported", v)
		}
	}
	lacks, _ := Version{1, 38, 0}.Lacks()
	if diff := cmp.Diff([]string{"role-arn (1.39)"}, lacks); diff != "" {
		t.Error(diff)
	}
}
