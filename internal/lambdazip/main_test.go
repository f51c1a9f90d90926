package main

import (
	"archive/zip"
	"bytes"
	"io"
	"testing"
)

func TestPack(t *testing.T) {
	program := bytes.Repeat([]byte("program "), 1000)
	packed, err := pack(program)
	if err != nil {
		t.Fatal(err)
	}
	again, err := pack(program)
	if err != nil || !bytes.Equal(packed, again) {
		t.Errorf("the same program gives other bytes, %v", err)
	}
	z, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	if err != nil || len(z.File) != 1 {
		t.Fatalf("%v, %v", z, err)
	}
	if f := z.File[0]; f.Name != "bootstrap" || f.Mode() != 0o755 {
		t.Errorf("%s may be used as %s", f.Name, f.Mode())
	}
	f, err := z.Open("bootstrap")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, program) {
		t.Errorf("%d bytes come out, %v", len(got), err)
	}
}
