#!/usr/bin/env bash
# Fails if a private key stands anywhere in the tree but in testdata/pki, whose keys
# are made for tests and open nothing. Files that are not committed yet count too.
set -euo pipefail
cd "$(dirname "$0")/.."

marker='-----BEGIN ([A-Z]+ )*PRIVATE KEY-----'

# matches PATTERN PATHSPEC...: the files that match; git grep's exit code 1 is "none".
matches() {
	local pattern=$1 code=0
	shift
	git grep --untracked -lIE -e "$pattern" -- "$@" || code=$?
	[ $code -le 1 ] || exit $code
}

found=$(matches "$marker" ':!testdata/pki' ':!*.go' ':!scripts/secrets.sh')
# Go code may name the marker, to recognize a key. A key itself goes on after it, on
# the next line, behind an escaped line end, or at once.
found+=$(printf '\n'; matches "$marker(\\\\[nr]|\$|[A-Za-z0-9+/=]{40})" '*.go')
found=$(sed '/^$/d' <<<"$found")
if [ -n "$found" ]; then
	echo "private keys outside testdata/pki:" >&2
	echo "$found" >&2
	exit 1
fi
