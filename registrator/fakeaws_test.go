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
	"time"

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
	functions map[lambda.ARN]FakeFunction
	unlisted  map[lambda.ARN]bool
	deleted   map[lambda.ARN]FakeFunction // that the tagging API still lists
	faults    []*Fault
	requests  []string
	times     []time.Time // of requests
	assumed   []string    // "ROLE EXTERNALID" of each AssumeRole
}

// FakeFunction is a function in FakeAWS.
type FakeFunction struct {
	Tags    map[string]string
	Timeout int               // seconds
	URLs    map[string]string // by alias, "" for none
}

// Fault makes requests fail.
type Fault struct {
	Operation string // "" any
	Account   string // "" any
	Region    string // "" any
	Page      int    // 0: every page
	Status    int
	Code      string
	Times     int  // how often; 0: always
	Repeat    bool // instead of failing, give the page's own token as the next one
	Cut       bool // instead of failing, break off in the middle of the answer
	Empty     bool // instead of failing, answer 200 and an empty object

	Do func() // instead of failing, do this first
}

// StartFakeAWS starts the fake and points the AWS SDK's environment at it.
func StartFakeAWS(t testing.TB) *FakeAWS {
	t.Helper()
	fake := &FakeAWS{
		Account: "123456789012", Region: "us-east-1", PageSize: 100,
		functions: map[lambda.ARN]FakeFunction{}, unlisted: map[lambda.ARN]bool{}, deleted: map[lambda.ARN]FakeFunction{},
	}
	server := httptest.NewServer(fake)
	t.Cleanup(server.Close)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": server.URL, "AWS_REGION": fake.Region,
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
		"AWS_MAX_ATTEMPTS": "2", "AWS_CA_BUNDLE": "",
	} {
		t.Setenv(name, value)
	}
	return fake
}

// Regions are the real SDK's clients, pointed at the fake.
func (f *FakeAWS) Regions(t testing.TB, registerer prometheus.Registerer) []Region {
	t.Helper()
	return f.Load(t, AWSOptions{Rate: 1000, Registerer: registerer})
}

// Load is LoadRegions.
func (f *FakeAWS) Load(t testing.TB, options AWSOptions) []Region {
	t.Helper()
	regions, err := LoadRegions(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	return regions
}

// inMemory lets the clients reach the fake without a network, as a bubble of
// testing/synctest needs it.
type inMemory struct{ *FakeAWS }

func (f inMemory) Do(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	return w.Result(), nil
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
	f.PutAt(f.ARN(name), FakeFunction{Tags: tags, Timeout: 30})
}

// PutAt creates or changes a function anywhere.
func (f *FakeAWS) PutAt(arn lambda.ARN, function FakeFunction) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.functions[arn] = function
}

// Delete deletes a function.
func (f *FakeAWS) Delete(name string) { f.DeleteAt(f.ARN(name)) }

// DeleteAt deletes a function anywhere.
func (f *FakeAWS) DeleteAt(arn lambda.ARN) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.functions, arn)
}

// Linger deletes a function that the tagging API goes on listing, as its eventual
// consistency may; with lingering false it no longer does.
func (f *FakeAWS) Linger(name string, lingering bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	arn := f.ARN(name)
	if !lingering {
		delete(f.deleted, arn)
		return
	}
	f.deleted[arn] = f.functions[arn]
	delete(f.functions, arn)
}

// Unlist has the tagging API miss a function, as its eventual consistency may.
func (f *FakeAWS) Unlist(name string, unlisted bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unlisted[f.ARN(name)] = unlisted
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
	f.requests, f.times = nil, nil
	return requests
}

// ARN is the ARN of a function in the fake.
func (f *FakeAWS) ARN(name string) lambda.ARN {
	return lambda.ARN{Partition: "aws", Region: f.Region, Account: f.Account, Name: name}
}

func (f *FakeAWS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at := f.signedFor(r)
	switch {
	case strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".GetResources"):
		f.getResources(w, r, at)
	case strings.HasSuffix(r.URL.Path, "/configuration"):
		f.getFunctionConfiguration(w, strings.TrimPrefix(strings.TrimSuffix(r.URL.Path, "/configuration"), "/2015-03-31/functions/"), at)
	case strings.HasSuffix(r.URL.Path, "/url"):
		f.getFunctionURLConfig(w, strings.TrimPrefix(strings.TrimSuffix(r.URL.Path, "/url"), "/2021-10-31/functions/"), r.FormValue("Qualifier"), at)
	case strings.HasPrefix(r.URL.Path, "/2015-03-31/functions"):
		f.listFunctions(w, r, at)
	case strings.HasPrefix(r.URL.Path, "/2017-03-31/tags/"):
		f.listTags(w, strings.TrimPrefix(r.URL.Path, "/2017-03-31/tags/"), at)
	case r.Method == http.MethodPost:
		f.sts(w, r, at)
	default:
		http.NotFound(w, r)
	}
}

// assumedKey begins the access key of an assumed role; the role's account follows.
const assumedKey = "ASSUMED"

// signedFor is the account and region that a request was signed for.
func (f *FakeAWS) signedFor(r *http.Request) Area {
	_, credential, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	parts := strings.Split(credential, "/")
	at := Area{Account: f.Account, Region: parts[2]}
	if account, ok := strings.CutPrefix(parts[0], assumedKey); ok {
		at.Account = account
	}
	return at
}

// fault notes the request and reports whether it was answered with a failure.
func (f *FakeAWS) fault(w http.ResponseWriter, operation string, page int, at Area) (repeat, failed bool) {
	f.requests = append(f.requests, fmt.Sprintf("%s %d", operation, page))
	f.times = append(f.times, time.Now())
	for i, fault := range f.faults {
		if (fault.Operation != "" && fault.Operation != operation) || (fault.Page != 0 && fault.Page != page) ||
			(fault.Account != "" && fault.Account != at.Account) || (fault.Region != "" && fault.Region != at.Region) {
			continue
		}
		if fault.Times--; fault.Times == 0 {
			f.faults = slices.Delete(f.faults, i, i+1)
		}
		switch {
		case fault.Do != nil:
			fault.Do()
			return false, false
		case fault.Repeat:
			return true, false
		case fault.Empty:
			fmt.Fprint(w, "{}")
		case fault.Cut:
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, `{"ResourceTagMappingList":[{"Resource`)
		default:
			refuse(w, fault.Status, fault.Code)
		}
		return false, true
	}
	return false, false
}

// names are the functions there that pass, sorted.
func (f *FakeAWS) names(at Area, functions map[lambda.ARN]FakeFunction, pass func(lambda.ARN) bool) []string {
	var names []string
	for arn := range functions {
		if (Area{Account: arn.Account, Region: arn.Region}) == at && pass(arn) {
			names = append(names, arn.Name)
		}
	}
	slices.Sort(names)
	return names
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("X-Amzn-Errortype", code)
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"__type":%q,"message":"said the fake"}`, code)
}

// page cuts a page of at most size names out of a sorted list; the token is the page's
// number.
func (f *FakeAWS) page(w http.ResponseWriter, operation, token string, size int, at Area, names []string) (page []string, next string, ok bool) {
	number := 1
	if token != "" {
		number, _ = strconv.Atoi(token)
	}
	repeat, failed := f.fault(w, operation, number, at)
	if failed {
		return nil, "", false
	}
	size = min(size, f.PageSize)
	start := min((number-1)*size, len(names))
	end := min(start+size, len(names))
	if repeat {
		next = strconv.Itoa(number)
	} else if end < len(names) {
		next = strconv.Itoa(number + 1)
	}
	return names[start:end], next, true
}

func (f *FakeAWS) getResources(w http.ResponseWriter, r *http.Request, at Area) {
	var in struct {
		PaginationToken  string
		ResourcesPerPage int
		TagFilters       []struct{ Key string }
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		refuse(w, http.StatusBadRequest, "SerializationException")
		return
	}
	listed := maps.Clone(f.functions)
	maps.Copy(listed, f.deleted)
	names := f.names(at, listed, func(arn lambda.ARN) bool {
		tags := listed[arn].Tags
		for _, filter := range in.TagFilters {
			if _, ok := tags[filter.Key]; !ok {
				return false
			}
		}
		return len(tags) > 0 && !f.unlisted[arn]
	})
	page, next, ok := f.page(w, "GetResources", in.PaginationToken, in.ResourcesPerPage, at, names)
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
		arn := at.arn(name)
		m := mapping{ResourceARN: arn.String()}
		for key, value := range listed[arn].Tags {
			m.Tags = append(m.Tags, tag{key, value})
		}
		mappings = append(mappings, m)
	}
	answer(w, map[string]any{"ResourceTagMappingList": mappings, "PaginationToken": next})
}

func (f *FakeAWS) listFunctions(w http.ResponseWriter, r *http.Request, at Area) {
	names := f.names(at, f.functions, func(lambda.ARN) bool { return true })
	size, _ := strconv.Atoi(r.URL.Query().Get("MaxItems"))
	page, next, ok := f.page(w, "ListFunctions", r.URL.Query().Get("Marker"), size, at, names)
	if !ok {
		return
	}
	functions := []map[string]any{}
	for _, name := range page {
		functions = append(functions, map[string]any{
			"FunctionName": name, "FunctionArn": at.arn(name).String(), "Timeout": f.functions[at.arn(name)].Timeout,
		})
	}
	out := map[string]any{"Functions": functions}
	if next != "" {
		out["NextMarker"] = next
	}
	answer(w, out)
}

func (f *FakeAWS) listTags(w http.ResponseWriter, escaped string, at Area) {
	if function, ok := f.one(w, "ListTags", escaped, at); ok {
		answer(w, map[string]any{"Tags": function.Tags})
	}
}

func (f *FakeAWS) getFunctionConfiguration(w http.ResponseWriter, escaped string, at Area) {
	if function, ok := f.one(w, "GetFunctionConfiguration", escaped, at); ok {
		answer(w, map[string]any{"Timeout": function.Timeout})
	}
}

func (f *FakeAWS) getFunctionURLConfig(w http.ResponseWriter, escaped, alias string, at Area) {
	function, ok := f.one(w, "GetFunctionUrlConfig", escaped, at)
	if !ok {
		return
	}
	if function.URLs[alias] == "" {
		refuse(w, http.StatusNotFound, "ResourceNotFoundException")
		return
	}
	answer(w, map[string]any{"FunctionUrl": function.URLs[alias] + "/", "AuthType": "AWS_IAM"})
}

// one is the function of this ARN, unless the request was refused.
func (f *FakeAWS) one(w http.ResponseWriter, operation, escaped string, at Area) (FakeFunction, bool) {
	if _, failed := f.fault(w, operation, 1, at); failed {
		return FakeFunction{}, false
	}
	resource, _ := url.PathUnescape(escaped)
	arn, err := lambda.ParseARN(resource)
	function, ok := f.functions[arn]
	if err != nil || !ok || arn != at.arn(arn.Name) {
		refuse(w, http.StatusNotFound, "ResourceNotFoundException")
		return FakeFunction{}, false
	}
	return function, true
}

// arn is the ARN of a function there.
func (a Area) arn(name string) lambda.ARN {
	return lambda.ARN{Partition: "aws", Region: a.Region, Account: a.Account, Name: name}
}

// sts answers as the Security Token Service.
func (f *FakeAWS) sts(w http.ResponseWriter, r *http.Request, at Area) {
	operation := r.FormValue("Action")
	if _, failed := f.fault(w, operation, 1, at); failed {
		return
	}
	fmt.Fprintf(w, `<%[1]sResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><%[1]sResult>`, operation)
	switch operation {
	case "GetCallerIdentity":
		fmt.Fprintf(w, `<Account>%s</Account>`, at.Account)
	case "AssumeRole":
		role := r.FormValue("RoleArn")
		f.assumed = append(f.assumed, role+" "+r.FormValue("ExternalId"))
		fmt.Fprintf(w, `<Credentials><AccessKeyId>%s%s</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>%s</Expiration></Credentials>`,
			assumedKey, strings.Split(role, ":")[4], time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	}
	fmt.Fprintf(w, `</%[1]sResult></%[1]sResponse>`, operation)
}

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if err := json.NewEncoder(w).Encode(body); err != nil {
		panic(err)
	}
}
