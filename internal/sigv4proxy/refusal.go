package sigv4proxy

import (
	"encoding/json"
	"net/http"
)

// Codes of refusals, as AWS names them in x-amzn-ErrorType.
const (
	CodeMissingToken       = "MissingAuthenticationTokenException" // no signature
	CodeIncomplete         = "IncompleteSignatureException"        // an Authorization that cannot be read
	CodeUnrecognizedClient = "UnrecognizedClientException"         // unknown access key or session token
	CodeInvalidSignature   = "InvalidSignatureException"           // everything else
	CodeTooLarge           = "RequestTooLargeException"            // more than 6 MB, with 413
)

// refusal is why a request does not pass.
type refusal struct {
	status  int
	code    string
	message string
}

func refuse(code, message string) *refusal {
	return &refusal{status: http.StatusForbidden, code: code, message: message}
}

// write answers as AWS's REST-JSON services do: the code in a header, the message in
// the body.
func (r *refusal) write(w http.ResponseWriter) {
	body, _ := json.Marshal(map[string]string{"message": r.message})
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Amzn-Errortype", r.code)
	w.WriteHeader(r.status)
	_, _ = w.Write(body)
}
