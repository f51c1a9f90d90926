#!/bin/sh
# Names in one go each prerequisite that is missing, with the line that brings it, and
# exits with 1 if there is one.
set -u

missing=""
packages=""

lacks() { # WHAT [DEBIAN-PACKAGE...]
	missing="$missing
  - $1"
	shift
	packages="$packages${*:+ $*}"
}

# at_least HAVE WANT: compares versions of up to three numbers; HAVE may be empty.
at_least() {
	awk -v have="$1" -v want="$2" 'BEGIN {
		split(have, h, /[^0-9]+/); split(want, w, /[^0-9]+/)
		for (i = 1; i <= 3; i++) if (h[i] + 0 != w[i] + 0) exit h[i] + 0 < w[i] + 0
	}'
}

case "$(uname -s)/$(uname -m)" in
Linux/x86_64 | Linux/aarch64 | Linux/arm64) ;;
*) lacks "Linux on x86_64 or arm64 (this is $(uname -s) on $(uname -m))" ;;
esac

libc=$(getconf GNU_LIBC_VERSION 2>/dev/null)
libc=${libc#glibc }
at_least "$libc" 2.31 ||
	lacks "glibc 2.31 or later (found: ${libc:-none}), as Debian 11, Ubuntu 20.04 and later have it"

# With GOTOOLCHAIN=auto, its default, any Go from 1.21 on fetches the version that
# go.mod asks for, and then says that one here.
go=$(go env GOVERSION 2>/dev/null)
go=${go#go}
at_least "$go" 1.26.7 ||
	lacks "Go 1.26.7 or later (found: ${go:-none}): from https://go.dev/dl, or any from 1.21 on with GOTOOLCHAIN=auto, which fetches it" golang-go

# ministack and the wheel of Envoy run on no older Python.
python=$(python3 -c 'import platform; print(platform.python_version())' 2>/dev/null)
at_least "$python" 3.10 || lacks "Python 3.10 or later (found: ${python:-none})" python3
# Debian has the module venv without what it needs, ensurepip, so both are asked for.
python3 -c 'import venv, ensurepip' 2>/dev/null || lacks "Python's venv" python3-venv

command -v git >/dev/null || lacks "git" git
command -v make >/dev/null || lacks "make" make
command -v "$(go env CC 2>/dev/null || echo gcc)" >/dev/null || command -v gcc >/dev/null ||
	lacks "a C compiler, for the race detector" gcc libc6-dev

[ -n "$missing" ] || exit 0
echo "These prerequisites are missing:$missing" >&2
[ -z "$packages" ] || echo "On Debian and Ubuntu: sudo apt-get install$packages" >&2
exit 1
