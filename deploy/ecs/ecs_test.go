// Package ecs holds the task definition, and its tests.
package ecs

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lambdamesh/lambdamesh/internal/parts"
	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// validate has AWS's SDK for Python say what is wrong with the input of a call: unknown
// and missing fields, wrong types, lengths, and values that are none of an enumeration,
// which the SDK itself leaves to AWS.
const validate = `
import json, sys
import botocore.session
from botocore.validate import ParamValidator

def enums(value, shape, at):
    if shape.type_name == "structure":
        for name, member in value.items():
            if name in shape.members:
                yield from enums(member, shape.members[name], at + "." + name)
    elif shape.type_name == "list":
        for i, member in enumerate(value):
            yield from enums(member, shape.member, "%s[%d]" % (at, i))
    elif shape.type_name == "string" and shape.enum and value not in shape.enum:
        yield "%s: %s is none of %s" % (at, value, shape.enum)

shape = botocore.session.Session().get_service_model("ecs").operation_model("RegisterTaskDefinition").input_shape
value = json.load(open(sys.argv[1]))
report = ParamValidator().validate(value, shape)
wrong = [report.generate_report()] if report.has_errors() else []
if not wrong:
    wrong = list(enums(value, shape, ""))
if wrong:
    sys.exit("\n".join(wrong))
`

func valid(t *testing.T, file string) error {
	t.Helper()
	cache, err := parts.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	emulator, err := cache.Ministack(t.Context()) // which has the SDK in its environment
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), filepath.Join(filepath.Dir(emulator.Path), "python"), "-c", validate, file).CombinedOutput()
	if err != nil {
		t.Logf("%s", out)
	}
	return err
}

// TestTaskDefinition: AWS's SDK takes it, and one with a mistake not.
func TestTaskDefinition(t *testing.T) {
	if err := valid(t, "task-definition.json"); err != nil {
		t.Error(err)
	}
	text, err := os.ReadFile("task-definition.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, mistake := range [][2]string{
		{`"stopTimeout"`, `"stopTimeOut"`},
		{`"containerPort": 8512`, `"containerPort": "8512"`},
		{`"SUCCESS"`, `"SUCCEEDED"`},
	} {
		file := filepath.Join(t.TempDir(), "mistaken.json")
		if err := os.WriteFile(file, []byte(strings.Replace(string(text), mistake[0], mistake[1], 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if valid(t, file) == nil {
			t.Errorf("%s is taken", mistake[1])
		}
	}
}

// TestCommand: lambdamesh takes the arguments, and has ended before ECS ends it.
func TestCommand(t *testing.T) {
	text, err := os.ReadFile("task-definition.json")
	if err != nil {
		t.Fatal(err)
	}
	var task struct {
		ContainerDefinitions []struct {
			Name        string
			Command     []string
			StopTimeout int
		}
	}
	if err := json.Unmarshal(text, &task); err != nil {
		t.Fatal(err)
	}
	container := task.ContainerDefinitions[1]
	lambdamesh, err := testmesh.BuildLambdamesh(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := testmesh.CheckServe(t.Context(), lambdamesh, container.Command); err != nil {
		t.Error(err)
	}
	at := slices.Index(container.Command, "--drain-timeout")
	drain, err := time.ParseDuration(container.Command[at+1])
	if err != nil || time.Duration(container.StopTimeout)*time.Second <= drain {
		t.Errorf("a drain takes %s, ECS waits %d s (%v)", drain, container.StopTimeout, err)
	}
	if err := testmesh.CheckServe(context.WithoutCancel(t.Context()), lambdamesh, []string{"serve", "--no-such-flag", "1"}); err == nil {
		t.Error("a flag that does not exist is taken")
	}
}
