package testmesh

import "os"

// Environ is a small environment for a part: PATH, HOME and TMPDIR set to dir, and
// what is given. What CONSUL_*, AWS_* or proxy variables the developer has set must
// not change a test, so nothing else of ours is inherited.
func Environ(dir string, extra ...string) []string {
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir}
	return append(env, extra...)
}
