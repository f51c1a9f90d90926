package registrator

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// FakeAWS is a fake: a server that speaks as much of the Resource Groups Tagging
// API, of Lambda and of STS as the registrator uses, and fails on demand, which
// no real part does. Its listings come in pages of PageSize.
type FakeAWS struct {
	Account  string
	Region   string
	PageSize int

	mu        sync.Mutex
	functions map[string]FakeFunction
	unlisted  map[string]bool
	faults    []*Fault
	requests  []string
}

// FakeFunction is a function in FakeAWS.
type FakeFunction struct {
	Tags    map[string]string
	Timeout int // seconds
}

// Fault makes requests fail.
type Fault struct {
	Operation string
	Page      int // 0: every page
	Status    int
	Code      string
	Times     int  // how often; 0: always
	Repeat    bool // instead of failing, give the page's own token as the next one
}

// StartFakeAWS starts the fake and points the AWS SDK's environment at it.
func StartFakeAWS(t testing.TB) *FakeAWS {
	t.Helper()
	fake := &FakeAWS{
		Account: "123456789012", Region: "us-east-1", PageSize: 100,
		functions: map[string]FakeFunction{}, unlisted: map[string]bool{},
	}
	server := httptest.NewServer(fake)
	t.Cleanup(server.Close)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": server.URL, "AWS_REGION": fake.Region,
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
		"AWS_MAX_ATTEMPTS": "2",
	} {
		t.Setenv(name, value)
	}
	return fake
}

// Regions are the real SDK's clients, pointed at the fake.
func (f *FakeAWS) Regions(t testing.TB, registerer prometheus.Registerer) []Region {
	t.Helper()
	regions, err := LoadRegions(t.Context(), AWSOptions{Rate: 1000, Registerer: registerer})
	if err != nil {
		t.Fatal(err)
	}
	return regions
}

// Enabled are the tags of a function that is in the mesh, and more of them.
func Enabled(more ...string) map[string]string {
	tags := map[string]string{lambda.Prefix + lambda.KeyEnabled: "true"}
	for i := 0; i+1 < len(more); i += 2 {
		tags[lambda.Prefix+more[i]] = more[i+1]
	}
	return tags
}

// Put creates or changes a function; its own timeout is 30 s.
func (f *FakeAWS) Put(name string, tags map[string]string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.functions[name] = FakeFunction{Tags: tags, Timeout: 30}
}

// Delete deletes a function.
func (f *FakeAWS) Delete(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.functions, name)
}

// Unlist has the tagging API miss a function, as its eventual consistency may.
func (f *FakeAWS) Unlist(name string, unlisted bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unlisted[name] = unlisted
}

// Fail adds a fault.
func (f *FakeAWS) Fail(fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, &fault)
}

// Heal takes all faults away.
func (f *FakeAWS) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = nil
}

// Requests are the requests since the last call, as "OPERATION PAGE" in order.
func (f *FakeAWS) Requests() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	requests := f.requests
	f.requests = nil
	return requests
}

// ARN is the ARN of a function in the fake.
func (f *FakeAWS) ARN(name string) lambda.ARN {
	return lambda.ARN{Partition: "aws", Region: f.Region, Account: f.Account, Name: name}
}

func (f *FakeAWS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".GetResources"):
		f.getResources(w, r)
	case strings.HasPrefix(r.URL.Path, "/2015-03-31/functions"):
		f.listFunctions(w, r)
	case strings.HasPrefix(r.URL.Path, "/2017-03-31/tags/"):
		f.listTags(w, strings.TrimPrefix(r.URL.Path, "/2017-03-31/tags/"))
	case r.Method == http.MethodPost:
		f.getCallerIdentity(w)
	default:
		http.NotFound(w, r)
	}
}

// fault notes the request and reports whether it was answered with a failure.
func (f *FakeAWS) fault(w http.ResponseWriter, operation string, page int) (repeat, failed bool) {
	f.requests = append(f.requests, fmt.Sprintf("%s %d", operation, page))
	for i, fault := range f.faults {
		if fault.Operation != operation || (fault.Page != 0 && fault.Page != page) {
			continue
		}
		if fault.Times--; fault.Times == 0 {
			f.faults = slices.Delete(f.faults, i, i+1)
		}
		if fault.Repeat {
			return true, false
		}
		refuse(w, fault.Status, fault.Code)
		return false, true
	}
	return false, false
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("X-Amzn-Errortype", code)
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"__type":%q,"message":"said the fake"}`, code)
}

// page cuts a page out of a sorted list; the token is the page's number.
func (f *FakeAWS) page(w http.ResponseWriter, operation, token string, names []string) (page []string, next string, ok bool) {
	number := 1
	if token != "" {
		number, _ = strconv.Atoi(token)
	}
	repeat, failed := f.fault(w, operation, number)
	if failed {
		return nil, "", false
	}
	start := min((number-1)*f.PageSize, len(names))
	end := min(start+f.PageSize, len(names))
	if repeat {
		next = strconv.Itoa(number)
	} else if end < len(names) {
		next = strconv.Itoa(number + 1)
	}
	return names[start:end], next, true
}

func (f *FakeAWS) getResources(w http.ResponseWriter, r *http.Request) {
	var in struct{ PaginationToken string }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		refuse(w, http.StatusBadRequest, "SerializationException")
		return
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(f.functions)) {
		if len(f.functions[name].Tags) > 0 && !f.unlisted[name] {
			names = append(names, name)
		}
	}
	page, next, ok := f.page(w, "GetResources", in.PaginationToken, names)
	if !ok {
		return
	}
	type tag struct{ Key, Value string }
	type mapping struct {
		ResourceARN string
		Tags        []tag
	}
	mappings := []mapping{}
	for _, name := range page {
		m := mapping{ResourceARN: f.ARN(name).String()}
		for key, value := range f.functions[name].Tags {
			m.Tags = append(m.Tags, tag{key, value})
		}
		mappings = append(mappings, m)
	}
	answer(w, map[string]any{"ResourceTagMappingList": mappings, "PaginationToken": next})
}

func (f *FakeAWS) listFunctions(w http.ResponseWriter, r *http.Request) {
	page, next, ok := f.page(w, "ListFunctions", r.URL.Query().Get("Marker"), slices.Sorted(maps.Keys(f.functions)))
	if !ok {
		return
	}
	functions := []map[string]any{}
	for _, name := range page {
		functions = append(functions, map[string]any{
			"FunctionName": name, "FunctionArn": f.ARN(name).String(), "Timeout": f.functions[name].Timeout,
		})
	}
	out := map[string]any{"Functions": functions}
	if next != "" {
		out["NextMarker"] = next
	}
	answer(w, out)
}

func (f *FakeAWS) listTags(w http.ResponseWriter, escaped string) {
	if _, failed := f.fault(w, "ListTags", 1); failed {
		return
	}
	resource, _ := url.PathUnescape(escaped)
	arn, err := lambda.ParseARN(resource)
	function, ok := f.functions[arn.Name]
	if err != nil || !ok || arn != f.ARN(arn.Name) {
		refuse(w, http.StatusNotFound, "ResourceNotFoundException")
		return
	}
	answer(w, map[string]any{"Tags": function.Tags})
}

func (f *FakeAWS) getCallerIdentity(w http.ResponseWriter) {
	if _, failed := f.fault(w, "GetCallerIdentity", 1); failed {
		return
	}
	fmt.Fprintf(w, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Account>%s</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`, f.Account)
}

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if err := json.NewEncoder(w).Encode(body); err != nil {
		panic(err)
	}
}
