package testmesh

import (
	"encoding/base64"
	"slices"
	"sync"
)

// made are the secrets that parts of this process were given, so that logs can be
// searched for them.
var made struct {
	sync.Mutex
	secrets []string
}

// Secrets are all ACL tokens, secret keys of AWS and private keys that this process has
// made so far, the latter as a piece of their text in PEM.
func Secrets() []string {
	made.Lock()
	defer made.Unlock()
	return slices.Clone(made.secrets)
}

func noteSecret(secret string) {
	made.Lock()
	defer made.Unlock()
	made.secrets = append(made.secrets, secret)
}

// noteKey notes the second line of a private key in PEM: the first begins in all alike.
func noteKey(der []byte) {
	const line = 64
	text := base64.StdEncoding.EncodeToString(der)
	noteSecret(text[min(line, len(text)/2):min(2*line, len(text))])
}
