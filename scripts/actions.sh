#!/usr/bin/env bash
# Fails if a workflow uses an action by a name that can be moved, such as a tag: it must
# be a commit, with the version that it is in a comment, which dependency updates read.
# A workflow of this tree ("./") is fine.
set -euo pipefail
cd "$(dirname "$0")/.."

pinned='uses: ((\./[^ ]+)|([^ @]+@[0-9a-f]{40} # v[0-9]+\.[0-9]+\.[0-9]+))$'
all=$(grep -HnE '^ *(- )?uses:' .github/workflows/*.yml)
loose=$(grep -vE "$pinned" <<<"$all" || true)
if [ -n "$loose" ]; then
	echo "actions that are not pinned by commit:" >&2
	echo "$loose" >&2
	exit 1
fi
