package schema

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// Read reads the schema of the resources and data sources that are named, as Terraform
// names them, out of a wheel of cdktn-provider-aws, and of the provider its arguments,
// but not its blocks: the bindings do not say which of their arguments are required.
func Read(wheel string, resources, dataSources []string) (Provider, error) {
	folders := map[string]string{"provider": ""}
	for _, name := range resources {
		folders[folder("", name)] = name
	}
	for _, name := range dataSources {
		folders[folder("data-", name)] = name
	}
	found, err := unpack(wheel, folders)
	if err != nil {
		return Provider{}, fmt.Errorf("reading %s: %w", path.Base(wheel), err)
	}
	made := Provider{
		Source:    strings.TrimSuffix(path.Base(wheel), "-py3-none-any.whl"),
		Resources: map[string]Block{}, DataSources: map[string]Block{},
	}
	for at, name := range folders {
		source, ok := found[at]
		if !ok {
			return Provider{}, fmt.Errorf("there is no %s", name)
		}
		if v := version.FindStringSubmatch(string(source)); v != nil {
			made.Version = v[1]
		}
		switch {
		case at == "provider":
			made.Provider, err = source.provider()
		case strings.HasPrefix(at, "data-"):
			made.DataSources[name], err = source.root()
		default:
			made.Resources[name], err = source.root()
		}
		if err != nil {
			return Provider{}, fmt.Errorf("%s: %w", at, err)
		}
	}
	return made, nil
}

// folder is where the bindings of a type are: aws_sqs_queue in sqs-queue, and as a
// data source in data-aws-sqs-queue.
func folder(prefix, name string) string {
	if prefix == "" {
		name = strings.TrimPrefix(name, "aws_")
	}
	return prefix + strings.ReplaceAll(name, "_", "-")
}

// unpack returns the bindings in these folders of the one archive in the wheel.
func unpack(wheel string, folders map[string]string) (map[string]bindings, error) {
	z, err := zip.OpenReader(wheel)
	if err != nil {
		return nil, err
	}
	defer func() { _ = z.Close() }()
	for _, file := range z.File {
		if !strings.HasSuffix(file.Name, ".jsii.tgz") {
			continue
		}
		r, err := file.Open()
		if err != nil {
			return nil, err
		}
		defer func() { _ = r.Close() }()
		unzipped, err := gzip.NewReader(r)
		if err != nil {
			return nil, err
		}
		found := map[string]bindings{}
		for t := tar.NewReader(unzipped); ; {
			header, err := t.Next()
			if errors.Is(err, io.EOF) {
				return found, nil
			}
			if err != nil {
				return nil, err
			}
			at, name := path.Split(strings.TrimPrefix(header.Name, "package/lib/"))
			at = strings.TrimSuffix(at, "/")
			if _, wanted := folders[at]; !wanted || name != "index.js" {
				continue
			}
			source, err := io.ReadAll(t)
			if err != nil {
				return nil, err
			}
			found[at] = bindings(source)
		}
	}
	return nil, errors.New("it has no .jsii.tgz")
}

// provider is the provider's block, without the blocks in it.
func (b bindings) provider() (Block, error) {
	class, err := b.between("(?m)^class AwsProvider extends ", "(?m)^}")
	if err != nil {
		return Block{}, err
	}
	settable, err := bindings(class).between("    synthesizeHclAttributes\\(\\) {", "(?m)^    }")
	if err != nil {
		return Block{}, err
	}
	made := Block{Attributes: map[string]Attribute{}}
	for _, found := range entry.FindAllStringSubmatch(settable, -1) {
		if found[2] == "false" {
			made.Attributes[found[1]] = Attribute{Type: typeOf(found[4], found[3] == "set"), Optional: true}
		}
	}
	return made, nil
}
