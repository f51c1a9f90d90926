//go:build release

package images

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// layouts is where the images are, as OCI layouts
// (https://github.com/opencontainers/image-spec/blob/main/image-layout.md).
const layouts = "../../build/images"

type descriptor struct {
	MediaType string
	Digest    string
	Size      int64
	Platform  struct{ OS, Architecture string }
}

// index is an index's list of images, or an image's list of layers.
type index struct {
	Manifests  []descriptor
	ConfigBlob descriptor `json:"config"`
	Layers     []descriptor
}

// config is what an image says of how it is run.
type config struct {
	OS, Architecture string
	Config           struct {
		User       string
		Entrypoint []string
		Env        []string
		Labels     map[string]string
	}
}

// image is one for one platform.
type image struct {
	layout string
	index
	config
}

const (
	indexType = "application/vnd.oci.image.index.v1+json"
	imageType = "application/vnd.oci.image.manifest.v1+json"
)

// top is what the layout is of: an index, or an image.
func top(t *testing.T, layout string) descriptor {
	t.Helper()
	var list index
	decode(t, filepath.Join(layouts, layout, "index.json"), &list)
	if len(list.Manifests) != 1 {
		t.Fatalf("%s is of %v", layout, list.Manifests)
	}
	return list.Manifests[0]
}

// images are those of a layout, by platform.
func images(t *testing.T, layout string) map[string]image {
	t.Helper()
	manifests := []descriptor{top(t, layout)}
	if manifests[0].MediaType == indexType {
		var list index
		decode(t, blob(layout, manifests[0]), &list)
		manifests = list.Manifests
	}
	all := map[string]image{}
	for _, m := range manifests {
		if m.MediaType != imageType {
			t.Fatalf("%s is in %s", m.MediaType, layout)
		}
		i := image{layout: layout}
		decode(t, blob(layout, m), &i.index)
		decode(t, blob(layout, i.ConfigBlob), &i.config)
		platform := i.OS + "/" + i.Architecture
		if p := m.Platform; p.OS != "" && p.OS+"/"+p.Architecture != platform {
			t.Errorf("%s: the index says %v, the image %s", layout, p, platform)
		}
		all[platform] = i
	}
	return all
}

// size is what is fetched of the image.
func (i image) size() (n int64) {
	for _, layer := range i.Layers {
		n += layer.Size
	}
	return n
}

// files calls f with what stands in the image's layers, one after the other.
func (i image) files(t *testing.T, f func(*tar.Header, io.Reader)) {
	t.Helper()
	for _, layer := range i.Layers {
		packed, err := os.Open(blob(i.layout, layer))
		if err != nil {
			t.Fatal(err)
		}
		unpacked, err := gzip.NewReader(packed)
		if err != nil {
			t.Fatal(err)
		}
		for r := tar.NewReader(unpacked); ; {
			header, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			f(header, r)
		}
		packed.Close()
	}
}

// unpack writes the image's file system into a folder of the test, and returns that.
func (i image) unpack(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	i.files(t, func(header *tar.Header, r io.Reader) {
		name := strings.Trim(header.Name, "/")
		if name == "" {
			return
		}
		if header.Typeflag == tar.TypeDir {
			err = root.MkdirAll(name, 0o755)
		} else if err = root.MkdirAll(filepath.Dir(name), 0o755); err == nil {
			var file *os.File
			if file, err = root.OpenFile(name, os.O_CREATE|os.O_WRONLY, header.FileInfo().Mode().Perm()); err == nil {
				_, err = io.Copy(file, r)
				err = errors.Join(err, file.Close())
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	return dir
}

func blob(layout string, d descriptor) string {
	algorithm, sum, _ := strings.Cut(d.Digest, ":")
	return filepath.Join(layouts, layout, "blobs", algorithm, sum)
}

func decode(t *testing.T, file string, v any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, v); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}
