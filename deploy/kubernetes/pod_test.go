//go:build extra

package kubernetes

import (
	"bytes"
	"encoding/json"
)

// podSpec is a pod's, as far as the tests ask, and raw the whole of it.
type podSpec struct {
	Volumes    []volume
	Containers []struct {
		Args         []string
		Env          []struct{ Name, Value string }
		VolumeMounts []struct{ Name, MountPath string }
	}

	raw json.RawMessage
}

type volume struct {
	Name      string
	ConfigMap struct{ Name string }
	Secret    struct {
		SecretName string
		Items      []struct{ Key, Path string }
	}
}

// UnmarshalJSON reads one and keeps it whole.
func (p *podSpec) UnmarshalJSON(text []byte) error {
	type plain podSpec
	if err := json.Unmarshal(text, (*plain)(p)); err != nil {
		return err
	}
	var whole bytes.Buffer
	err := json.Compact(&whole, text)
	p.raw = whole.Bytes()
	return err
}
