// Command describe writes the schema of the types that a folder of Terraform modules
// uses, read from a wheel of cdktn-provider-aws: "make terraform-schema".
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/lambdamesh/lambdamesh/tools/terraform/schema"
)

func main() {
	wheel := flag.String("wheel", "", "the `file`")
	modules := flag.String("modules", "", "`folder` of the modules")
	out := flag.String("o", "provider/aws.json", "`file` to write")
	flag.Parse()
	if err := run(*wheel, *modules, *out); err != nil {
		fmt.Fprintf(os.Stderr, "describe: %v\n", err)
		os.Exit(1)
	}
}

func run(wheel, modules, out string) error {
	used, err := typesIn(modules)
	if err != nil {
		return fmt.Errorf("reading %s: %w", modules, err)
	}
	found, err := schema.Read(wheel, used["resource"], used["data"])
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(found, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(out, append(text, '\n'), 0o644)
}

var block = regexp.MustCompile(`(?m)^(resource|data) "(aws_\w+)" "`)

// typesIn returns the types of the resources and of the data sources in all modules below
// a folder.
func typesIn(dir string) (map[string][]string, error) {
	found := map[string]map[string]bool{"resource": {}, "data": {}}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".tf" {
			return err
		}
		text, err := os.ReadFile(path)
		for _, b := range block.FindAllSubmatch(text, -1) {
			found[string(b[1])][string(b[2])] = true
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	names := map[string][]string{}
	for kind, of := range found {
		names[kind] = slices.Sorted(maps.Keys(of))
	}
	return names, nil
}
