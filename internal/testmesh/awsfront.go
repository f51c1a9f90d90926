package testmesh

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// AWSFront is a fake: it stands between AWS's control-plane clients and ministack and
// does three things that ministack does not.
//
//   - It cuts GetResources of the Tagging API into pages of ResourcesPerPage, or PageSize
//     if that is smaller, with tokens of its own, and leaves out resources without tags,
//     which AWS does not list if they were never tagged.
//   - It records each request by operation and page.
//   - It fails requests on demand (Fail).
//
// Everything else passes unchanged. It checks no signature.
type AWSFront struct {
	backend  *url.URL
	listener net.Listener
	server   *http.Server
	client   *http.Client
	serving  sync.WaitGroup

	mu       sync.Mutex
	pageSize int
	faults   []*Fault
	requests []AWSRequest
	listings map[string]listing // by the token that continues it
	tokens   int
	changed  chan struct{} // closed and replaced at each recorded request
}

// AWSRequest is one request that reached the front.
type AWSRequest struct {
	Time      time.Time
	Operation string // as AWS names it, such as "GetResources"; else "METHOD path"
	Region    string // of the signature
	Page      int    // from 1, of GetResources; else 0
	Status    int    // of the answer
	Failed    bool   // by a Fault
}

// Fault says which requests fail and how. The zero Status and Code are a throttling.
type Fault struct {
	Operation string // required, as in AWSRequest
	Page      int    // only this page; 0: any
	Region    string // only this region; "": any
	Times     int    // how often; 0: until the fault is removed

	Status  int    // default 400; a 500 is retried by the SDK as a 400 throttling is
	Code    string // AWS's code, default "ThrottlingException"; "AccessDeniedException" is not retried
	Message string // default "injected"
}

func startAWSFront(backend *url.URL) (*AWSFront, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting AWS's front: %w", err)
	}
	f := &AWSFront{
		backend: backend, listener: listener, client: &http.Client{Transport: newTransport()},
		pageSize: maxPage, listings: map[string]listing{}, changed: make(chan struct{}),
	}
	f.server = &http.Server{Handler: http.HandlerFunc(f.serve), ReadHeaderTimeout: 30 * time.Second}
	f.serving.Go(func() { _ = f.server.Serve(listener) })
	return f, nil
}

// URL is the endpoint for SDK clients (AWS_ENDPOINT_URL).
func (f *AWSFront) URL() string { return "http://" + f.listener.Addr().String() }

// SetPageSize bounds the pages of GetResources, whatever a client asks for.
func (f *AWSFront) SetPageSize(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pageSize = n
}

// Fail makes requests fail from now on until remove is called, or Times is used up.
func (f *AWSFront) Fail(fault Fault) (remove func()) {
	fault.Status = cmp.Or(fault.Status, http.StatusBadRequest)
	fault.Code = cmp.Or(fault.Code, "ThrottlingException")
	fault.Message = cmp.Or(fault.Message, "injected")
	if fault.Times == 0 {
		fault.Times = -1
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, &fault)
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.faults = slices.DeleteFunc(f.faults, func(other *Fault) bool { return other == &fault })
	}
}

// Requests are all requests so far, in the order of their answers.
func (f *AWSFront) Requests() []AWSRequest {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.requests)
}

// WaitFor returns the first request that match accepts, from the index-th on, and its
// index.
func (f *AWSFront) WaitFor(ctx context.Context, index int, match func(AWSRequest) bool) (AWSRequest, int, error) {
	for {
		f.mu.Lock()
		requests, changed := slices.Clone(f.requests), f.changed
		f.mu.Unlock()
		for i := index; i < len(requests); i++ {
			if match(requests[i]) {
				return requests[i], i, nil
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return AWSRequest{}, 0, fmt.Errorf("waiting for a matching AWS request among %d: %w", len(requests), ctx.Err())
		}
	}
}

// Close ends the front.
func (f *AWSFront) Close() error {
	err := f.server.Close()
	f.serving.Wait()
	return err
}

func (f *AWSFront) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	req := AWSRequest{Time: time.Now(), Operation: operationOf(r, body), Region: signedRegion(r)}
	var asked getResources
	if req.Operation == "GetResources" {
		if err := json.Unmarshal(body, &asked); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		req.Page = f.pageOf(asked.PaginationToken)
	}
	refuse := awsError
	if isQuery(r) {
		refuse = queryError
	}
	answer := f.fault(req, refuse)
	req.Failed = answer != nil
	switch {
	case answer != nil:
	case req.Operation == "GetResources":
		answer = f.getResources(r, body, asked)
	default:
		answer = f.pass(r, body)
	}
	req.Status = answer.status
	f.record(req)
	for name, values := range answer.header {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.status)
	_, _ = w.Write(answer.body)
}

func (f *AWSFront) record(req AWSRequest) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests = append(f.requests, req)
	close(f.changed)
	f.changed = make(chan struct{})
}

// answer is what goes back to the client.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func awsError(status int, code, message string) *answer {
	body, _ := json.Marshal(map[string]string{"__type": code, "message": message})
	return &answer{status: status, body: body, header: http.Header{
		"Content-Type": {"application/x-amz-json-1.1"}, "X-Amzn-Errortype": {code},
	}}
}

// isQuery reports whether a request is of AWS's query protocol (STS), whose errors are XML.
func isQuery(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded")
}

func queryError(status int, code, message string) *answer {
	var text bytes.Buffer
	text.WriteString("<ErrorResponse><Error><Type>Sender</Type><Code>")
	_ = xml.EscapeText(&text, []byte(code)) // a buffer takes all
	text.WriteString("</Code><Message>")
	_ = xml.EscapeText(&text, []byte(message))
	text.WriteString("</Message></Error></ErrorResponse>")
	return &answer{status: status, body: text.Bytes(), header: http.Header{"Content-Type": {"text/xml"}}}
}

// fault is the answer, in the form of the request's protocol, of the first fault that hits
// it, else nil.
func (f *AWSFront) fault(req AWSRequest, refuse func(status int, code, message string) *answer) *answer {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, fault := range f.faults {
		if fault.Operation != req.Operation || fault.Times == 0 ||
			fault.Page != 0 && fault.Page != req.Page || fault.Region != "" && fault.Region != req.Region {
			continue
		}
		fault.Times-- // a fault without an end counts down from -1
		return refuse(fault.Status, fault.Code, fault.Message)
	}
	return nil
}

// pass asks ministack.
func (f *AWSFront) pass(r *http.Request, body []byte) *answer {
	target := *r.URL
	target.Scheme, target.Host = f.backend.Scheme, f.backend.Host
	out, err := http.NewRequestWithContext(r.Context(), r.Method, target.String(), bytes.NewReader(body))
	if err != nil {
		return awsError(http.StatusBadGateway, "BadGateway", err.Error())
	}
	out.Header = r.Header.Clone()
	out.Header.Del("Content-Length")
	// So that the answer is readable here.
	out.Header.Set("Accept-Encoding", "identity")
	resp, err := f.client.Do(out)
	if err != nil {
		return awsError(http.StatusBadGateway, "BadGateway", err.Error())
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return awsError(http.StatusBadGateway, "BadGateway", err.Error())
	}
	header := resp.Header.Clone()
	for _, name := range []string{"Content-Length", "Connection", "Transfer-Encoding"} {
		header.Del(name)
	}
	return &answer{status: resp.StatusCode, header: header, body: text}
}
