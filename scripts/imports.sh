#!/usr/bin/env bash
# Holds the import direction between the packages. Prints each package that breaks
# it, and fails if there is one.
set -euo pipefail
cd "$(dirname "$0")/.."

module=$(go list -m)
failed=0

broken() { # PACKAGE VERB WHAT WHY
	echo "$1 $2: $(echo "$3" | tr '\n' ' ')($4)" >&2
	failed=1
}

# deny PACKAGE PATTERN WHY: PACKAGE must not depend, by however many steps, on a
# package whose path matches.
deny() {
	local deps found
	deps=$(go list -deps "$1") # on a line of its own, so that its failure is ours
	found=$(grep -Ex "$2" <<<"$deps" | grep -vx "$module/${1#./}" || true)
	[ -z "$found" ] || broken "$1" "depends on" "$found" "$3"
}

# deny_direct PACKAGE PATTERN WHY: the same for PACKAGE's own import lines.
deny_direct() {
	local imports found
	imports=$(go list -f '{{join .Imports "\n"}}' "$1")
	found=$(grep -Ex "$2" <<<"$imports" || true)
	[ -z "$found" ] || broken "$1" "imports" "$found" "$3"
}

# only PACKAGE ALLOWED WHY: of ours, PACKAGE depends on nothing but ALLOWED.
only() {
	local deps found
	deps=$(go list -deps "$1")
	found=$(grep "^$module/" <<<"$deps" | grep -Evx "$module/(${1#./}|$2)" || true)
	[ -z "$found" ] || broken "$1" "depends on" "$found" "$3"
}

deny ./lambda '[^/]*\.[^/]*/.*' 'lambda uses the standard library alone'
only ./xds 'none' 'the relay knows nothing of ours'
only ./lambda/patch 'lambda' 'the patch knows the vocabulary alone'
# Envoy's protos bring gRPC along, so of gRPC only the patch's own imports count.
deny_direct ./lambda/patch 'google.golang.org/grpc(/.*)?|log(/.*)?' 'the patch is pure'
deny ./lambda/patch 'github.com/hashicorp/.*|github.com/aws/aws-sdk-go-v2/config' 'the patch is pure'
only ./registrator 'lambda' 'the halves share the vocabulary alone'
only ./internal/consul 'lambda' 'internal/consul knows the vocabulary alone'
only ./internal/admin 'lambda' 'internal/admin reads through interfaces of its own'

# What tests stand on is never in a program. (Go itself lets nothing import cmd.)
for program in $(go list ./cmd/...); do
	deny "$program" "$module/(e2e|internal/(testmesh|sigv4proxy|recorder|parts|golden|eventrules))(/.*)?" 'a program holds no test parts'
done

exit $failed
