// Command lambdazip builds the registrator for AWS Lambda: for each architecture a
// zip file with the program "bootstrap" in it, for the runtime provided.al2023. The same
// commit and the same Go give the same bytes.
package main

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	dir := flag.String("o", "build", "`folder` for lambda-registrator-ARCH.zip")
	archs := flag.String("arch", "arm64,amd64", "`architectures`, by commas, as Go names them")
	flag.Parse()
	for arch := range strings.SplitSeq(*archs, ",") {
		file, err := build(context.Background(), *dir, arch)
		if err != nil {
			fmt.Fprintf(os.Stderr, "lambdazip: %v\n", err)
			os.Exit(1)
		}
		fmt.Println(file)
	}
}

// build makes the zip file of an architecture and returns its name.
func build(ctx context.Context, dir, arch string) (string, error) {
	work, err := os.MkdirTemp("", "lambdazip-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(work) }()
	program := filepath.Join(work, "bootstrap")
	// Without the part for the runtime go1.x, which AWS has ended.
	cmd := exec.CommandContext(ctx, "go", "build", "-tags", "lambda.norpc", "-trimpath", "-ldflags", "-s -w", "-o", program, "./cmd/lambda-registrator")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building for %s: %w\n%s", arch, err, text)
	}
	code, err := os.ReadFile(program)
	if err != nil {
		return "", err
	}
	packed, err := pack(code)
	if err != nil {
		return "", fmt.Errorf("packing for %s: %w", arch, err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	file := filepath.Join(dir, "lambda-registrator-"+arch+".zip")
	return file, os.WriteFile(file, packed, 0o644)
}

// pack makes a zip file of the program alone, which may be executed, as of the first
// day that a zip file knows.
func pack(program []byte) ([]byte, error) {
	var packed bytes.Buffer
	z := zip.NewWriter(&packed)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestCompression) })
	header := &zip.FileHeader{Name: "bootstrap", Method: zip.Deflate, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)}
	header.SetMode(0o755)
	w, err := z.CreateHeader(header)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(program); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}
