package fakeconsul

import (
	"encoding/json"
	"fmt"
)

// Script says what a proxy hears. The proxy brings it along, in the field cluster of
// its Node, which nobody on the way reads or changes.
type Script struct {
	Services  int  // clusters of ordinary services: EDS, mTLS
	Functions int  // clusters of services without an address: LOGICAL_DNS
	Loop      bool // each ACK of clusters is answered by all of them, changed

	// Work has each looping response made anew, as a Consul server makes it for each
	// proxy: every cluster is cloned, encoded, hashed for its version, and encoded with
	// the response. Without it a response costs nothing, which is right where only the
	// way of it is measured.
	Work bool
}

// String is the form that parseScript reads.
func (s Script) String() string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // numbers and a bool
	}
	return string(text)
}

func parseScript(text string) (s Script, err error) {
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return s, fmt.Errorf("the Node has no script of the benchmark's: %w", err)
	}
	return s, nil
}
