// Package images holds the tests of the container images that scripts/images.sh builds
// (build tag release): "make release-test" builds them and runs the tests.
package images
