package fakeaws

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// The most that AWS gives on a page.
const (
	resourcesPage = 100
	functionsPage = 50
)

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	operation, answer := s.functions.answer(r)
	s.calls[operation]++
	s.mu.Unlock()
	select {
	case <-time.After(s.latency):
	case <-r.Context().Done():
		return
	}
	if answer == nil {
		w.Header().Set("X-Amzn-Errortype", "ResourceNotFoundException")
		w.WriteHeader(http.StatusNotFound)
		return
	}
	_, _ = w.Write(answer)
}

// answer is what a call gets; nil: there is no such function.
func (f Functions) answer(r *http.Request) (operation string, body []byte) {
	target := r.Header.Get("X-Amz-Target")
	name, one := strings.CutPrefix(r.URL.Path, "/2015-03-31/functions/")
	arn, tags := strings.CutPrefix(r.URL.Path, "/2017-03-31/tags/")
	switch {
	case strings.HasSuffix(target, ".GetResources"):
		return "GetResources", f.getResources(r)
	case tags:
		return "ListTags", f.listTags(arn)
	case one && strings.HasSuffix(name, "/configuration"):
		return "GetFunctionConfiguration", f.getFunctionConfiguration(strings.TrimSuffix(name, "/configuration"))
	case one && name != "":
		return "GetFunction", f.getFunction(name)
	case strings.HasPrefix(r.URL.Path, "/2015-03-31/functions"):
		return "ListFunctions", f.listFunctions(r.URL.Query().Get("Marker"))
	}
	return "GetCallerIdentity", []byte(`<GetCallerIdentityResponse><GetCallerIdentityResult><Account>` + account +
		`</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`)
}

// page is the bounds of a page of the first n functions, and the token of the next.
func page(token string, n, size int) (from, to int, next string) {
	from, _ = strconv.Atoi(token)
	to = min(from+size, n)
	if to < n {
		next = strconv.Itoa(to)
	}
	return from, to, next
}

// tags are the tags of the i-th function.
func (f Functions) tags(i int) map[string]string {
	if i < f.Enabled {
		return map[string]string{lambda.Prefix + lambda.KeyEnabled: "true", "team": "a"}
	}
	return map[string]string{"team": "b"}
}

func (f Functions) getResources(r *http.Request) []byte {
	var asked struct {
		PaginationToken string
		TagFilters      []struct{ Key string }
	}
	_ = json.NewDecoder(r.Body).Decode(&asked)
	n := f.Total
	for _, filter := range asked.TagFilters {
		switch filter.Key {
		case "team":
		case lambda.Prefix + lambda.KeyEnabled:
			n = min(n, f.Enabled)
		default:
			n = 0
		}
	}
	type tag struct{ Key, Value string }
	type mapping struct {
		ResourceARN string
		Tags        []tag
	}
	mappings := []mapping{}
	from, to, next := page(asked.PaginationToken, n, resourcesPage)
	for i := from; i < to; i++ {
		m := mapping{ResourceARN: ARN(i).String()}
		for key, value := range f.tags(i) {
			m.Tags = append(m.Tags, tag{key, value})
		}
		mappings = append(mappings, m)
	}
	return encode(map[string]any{"ResourceTagMappingList": mappings, "PaginationToken": next})
}

// configuration is what ListFunctions, GetFunctionConfiguration and GetFunction say of the i-th function.
func configuration(i int) map[string]any {
	return map[string]any{"FunctionName": ARN(i).Name, "FunctionArn": ARN(i).String(), "Timeout": 30}
}

func (f Functions) listFunctions(marker string) []byte {
	functions := []map[string]any{}
	from, to, next := page(marker, f.Total, functionsPage)
	for i := from; i < to; i++ {
		functions = append(functions, configuration(i))
	}
	out := map[string]any{"Functions": functions}
	if next != "" {
		out["NextMarker"] = next
	}
	return encode(out)
}

func (f Functions) getFunction(name string) []byte {
	i, ok := f.index(name)
	if !ok {
		return nil
	}
	return encode(map[string]any{"Configuration": configuration(i), "Tags": f.tags(i)})
}

func (f Functions) listTags(escaped string) []byte {
	i, ok := f.indexOf(escaped)
	if !ok {
		return nil
	}
	return encode(map[string]any{"Tags": f.tags(i)})
}

func (f Functions) getFunctionConfiguration(escaped string) []byte {
	i, ok := f.indexOf(escaped)
	if !ok {
		return nil
	}
	return encode(configuration(i))
}

// indexOf is that of the function of this ARN, if it is there.
func (f Functions) indexOf(escaped string) (int, bool) {
	text, _ := url.PathUnescape(escaped)
	arn, _ := lambda.ParseARN(text)
	return f.index(arn.Name)
}

// index is that of the function of this name, if it is there.
func (f Functions) index(name string) (int, bool) {
	i, err := strconv.Atoi(strings.TrimPrefix(name, "f"))
	return i, err == nil && i >= 0 && i < f.Total && ARN(i).Name == name
}

func encode(body any) []byte {
	text, err := json.Marshal(body)
	if err != nil { // maps of strings and numbers can always be encoded
		panic(fmt.Sprint("encoding an answer: ", err))
	}
	return text
}
