#!/usr/bin/env bash
# Builds the container images as OCI layouts into build/images (or OUT, a relative path in
# lower case: ko takes it for the name of a repository):
#
#   lambdamesh                 an index of linux/amd64 and linux/arm64
#   lambda-registrator-ARCH    one image each, arm64 and amd64: AWS Lambda takes no index
#
#   scripts/images.sh               builds
#   scripts/images.sh --push REPO   pushes too, to REPO/lambdamesh:VERSION and
#                                   REPO/lambda-registrator:VERSION-ARCH; their digests
#                                   go to checksums.txt in the same folder
#
# VERSION is taken from the environment, else from git; a tag of an image has no "v" before
# it. The same commit gives the same digests.
set -euo pipefail
cd "$(dirname "$0")/.."

push=
case "${1-}" in
--push) push=${2:?--push wants a repository} ;;
"") ;;
*)
	echo "usage: scripts/images.sh [--push REPO]" >&2
	exit 2
	;;
esac

cache=${XDG_CACHE_HOME:-$HOME/.cache}/lambdamesh
ko=${KO:-$cache/tools/ko-v0.19.1/ko}
out=${OUT:-build/images}
export VERSION=${VERSION:-$(git describe --tags --always)}
SOURCE_DATE_EPOCH=$(git show -s --format=%ct HEAD)
export SOURCE_DATE_EPOCH
export TZ=UTC # ko 0.19.1 writes that time in the local zone
export KO_CONFIG_PATH=$PWD/.ko.yaml

rm -rf "$out"
mkdir -p "$out" build/tools
(cd tools/baseimage && go build -o ../../build/tools/baseimage .)
go build -o build/tools/sbom ./internal/sbom

# The licences that go with a program are those of its modules, the same for each
# architecture.
for program in lambdamesh lambda-registrator; do
	CGO_ENABLED=0 GOOS=linux go build -trimpath -tags lambda.norpc -ldflags "-s -w" -o "build/tools/$program" "./cmd/$program"
	build/tools/sbom -notices "build/notices/$program" "build/tools/$program"
	rm "build/tools/$program"
done

# image LAYOUT PROGRAM PLATFORMS TITLE NAME TAG
image() {
	local -a push_to=(--push=false)
	export KO_DOCKER_REPO=registry.invalid # nothing is sent
	if [ -n "$push" ]; then
		push_to=(--push=true --image-refs "$out/$1.ref" --tags "$6")
		export KO_DOCKER_REPO=$push/$5
	fi
	build/tools/baseimage "build/notices/$2" "$ko" build --bare --oci-layout-path "$out/$1" --platform "$3" --sbom=none "${push_to[@]}" \
		--image-label "org.opencontainers.image.title=$2" \
		--image-label "org.opencontainers.image.description=$4" \
		--image-label "org.opencontainers.image.source=https://github.com/lambdamesh/lambdamesh" \
		--image-label "org.opencontainers.image.licenses=Apache-2.0" \
		--image-label "org.opencontainers.image.version=${VERSION#v}" \
		--image-label "org.opencontainers.image.revision=$(git rev-parse HEAD)" \
		"./cmd/$2" >/dev/null
}

image lambdamesh lambdamesh linux/amd64,linux/arm64 "xDS server and registrator: AWS Lambda functions as services of a Consul mesh" lambdamesh "${VERSION#v}"
for arch in arm64 amd64; do
	image lambda-registrator-$arch lambda-registrator linux/$arch "The registrator of lambdamesh as a function of AWS Lambda" lambda-registrator "${VERSION#v}-$arch"
done
if [ -n "$push" ]; then
	# REPO:TAG@sha256:DIGEST as sha256sum would have it.
	sed -E 's/^(.*\/[^:@]*)(:[^@]*)?@sha256:([0-9a-f]{64})$/\3  \1/' "$out"/*.ref | sort -u >"$out/checksums.txt"
	rm "$out"/*.ref
fi
