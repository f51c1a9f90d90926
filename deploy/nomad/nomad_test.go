//go:build extra

// Package nomad holds the job, and its tests.
package nomad

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// job is what Nomad's own parser makes of the file, as far as the tests ask.
type job struct {
	Type       string
	TaskGroups []struct {
		Services []struct{ Name, PortLabel string }
		Tasks    []struct {
			Config      struct{ Args []string }
			KillTimeout time.Duration
			Identities  []struct{ Name string }
			Vault       *struct{ Role string }
			Templates   []struct{ EmbeddedTmpl string }
		}
	}
}

func parse(t *testing.T, file string, variables ...string) (job, error) {
	t.Helper()
	args := []string{"job", "run", "-output"}
	for _, variable := range variables {
		args = append(args, "-var", variable)
	}
	out, err := exec.CommandContext(t.Context(), "nomad", append(args, file)...).Output()
	var parsed struct{ Job job }
	if err == nil {
		err = json.Unmarshal(out, &parsed)
	}
	return parsed.Job, err
}

// TestNomad: the token comes from the workload's identity or from Vault, and lambdamesh
// takes the arguments and has ended before Nomad ends it.
func TestNomad(t *testing.T) {
	const file = "lambdamesh.nomad.hcl"
	lambdamesh, err := testmesh.BuildLambdamesh(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{"identity", "vault"} {
		j, err := parse(t, file, "token_from="+from, `regions=["us-east-1","eu-west-1"]`)
		if err != nil {
			t.Fatal(err)
		}
		group := j.TaskGroups[0]
		task := group.Tasks[0]
		if got := len(task.Identities) == 1 && task.Identities[0].Name == "consul_default"; got != (from == "identity") {
			t.Errorf("%s: the identities are %v", from, task.Identities)
		}
		if got := task.Vault != nil && len(task.Templates) == 1 && strings.Contains(task.Templates[0].EmbeddedTmpl, `secret "consul/creds/lambdamesh"`); got != (from == "vault") {
			t.Errorf("%s: Vault is %v, the templates are %v", from, task.Vault, task.Templates)
		}
		if j.Type != "system" || len(group.Services) != 1 || group.Services[0].PortLabel != "probe" {
			t.Errorf("a %s job with %v", j.Type, group.Services)
		}
		var args []string
		for _, arg := range task.Config.Args {
			args = append(args, strings.NewReplacer("${NOMAD_PORT_xds}", "8512", "${NOMAD_PORT_admin}", "8513", "${NOMAD_ADDR_probe}", "10.0.0.1:8514").Replace(arg))
		}
		if err := testmesh.CheckServe(t.Context(), lambdamesh, args); err != nil {
			t.Error(err)
		}
		if task.KillTimeout <= 15*time.Second {
			t.Errorf("a drain takes 15s, Nomad waits %s", task.KillTimeout)
		}
	}
	if _, err := parse(t, file, "token_from=file"); err == nil {
		t.Error("a token from nowhere is taken")
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	mistaken := filepath.Join(t.TempDir(), "mistaken.nomad.hcl")
	if err := os.WriteFile(mistaken, []byte(strings.Replace(string(text), "kill_timeout", "kill_time_out", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := parse(t, mistaken); err == nil {
		t.Error("an unknown field is taken")
	}
}
