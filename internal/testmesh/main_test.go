package testmesh

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// victimDir makes this program, when run again with it, start one process in that
// folder and wait to be killed.
const victimDir = "TESTMESH_VICTIM_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(victimDir); dir != "" {
		p, err := StartProcess(family(dir))
		if err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		fmt.Println(p.Pid())
		select {}
	}
	goleak.VerifyTestMain(m)
}
