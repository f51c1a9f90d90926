package registrator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/consul/api"
)

// FakeEnterprise is a fake: it stores config entries and services as Consul
// Enterprise does, apart for each partition and namespace, of which no real part is
// to be had. It refuses a request that does not name those that it must, and notes
// each as "METHOD PATH partition/namespace".
type FakeEnterprise struct {
	Namespaces map[string][]string // by partition

	mu       sync.Mutex
	index    uint64
	entries  map[string]map[string]any     // by "partition/namespace/kind/name"
	services map[string]api.CatalogService // by "partition/namespace/name"
	nodes    map[string]api.CatalogNode    // by partition
	requests []string
}

// StartFakeEnterprise starts the fake and makes a client of it.
func StartFakeEnterprise(t *testing.T, namespaces map[string][]string) (*FakeEnterprise, *api.Client) {
	t.Helper()
	fake := &FakeEnterprise{
		Namespaces: namespaces, entries: map[string]map[string]any{},
		services: map[string]api.CatalogService{}, nodes: map[string]api.CatalogNode{},
	}
	server := httptest.NewServer(fake)
	t.Cleanup(server.Close)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	client, err := api.NewClient(&api.Config{Address: server.URL, HttpClient: &http.Client{Transport: transport}})
	if err != nil {
		t.Fatal(err)
	}
	return fake, client
}

// Requests are those since the last call.
func (f *FakeEnterprise) Requests() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	requests := f.requests
	f.requests = nil
	return requests
}

// Has are the names of services and "KIND NAME" of config entries there, sorted.
func (f *FakeEnterprise) Has(partition, namespace string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := []string{}
	prefix := partition + "/" + namespace + "/"
	for key := range f.services {
		if name, ok := strings.CutPrefix(key, prefix); ok {
			all = append(all, name)
		}
	}
	for key := range f.entries {
		if name, ok := strings.CutPrefix(key, prefix); ok {
			all = append(all, strings.Replace(name, "/", " ", 1))
		}
	}
	slices.Sort(all)
	return all
}

// Lines are the Services of an entry, as JSON.
func (f *FakeEnterprise) Lines(partition, kind, name string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	text, _ := json.Marshal(f.entries[partition+"/default/"+kind+"/"+name]["Services"])
	return string(text)
}

func (f *FakeEnterprise) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	partition, namespace := r.FormValue("partition"), r.FormValue("ns")
	at := partition + "/" + namespace + "/"
	path := strings.TrimPrefix(r.URL.Path, "/v1/")
	f.requests = append(f.requests, r.Method+" "+path+" "+strings.TrimSuffix(at, "/"))
	kind, name, _ := strings.Cut(strings.TrimPrefix(path, "config/"), "/")
	switch {
	case path == "catalog/datacenters":
		reply(w, []string{"dc1"})
	case f.Namespaces[partition] == nil:
		http.Error(w, "no such partition: "+partition, http.StatusBadRequest)
	case path == "namespaces":
		all := []api.Namespace{}
		for _, name := range f.Namespaces[partition] {
			all = append(all, api.Namespace{Name: name, Partition: partition})
		}
		reply(w, all)
	case path == "catalog/register":
		var node api.CatalogNode
		_ = json.NewDecoder(r.Body).Decode(&node.Node)
		f.nodes[partition] = node
		reply(w, true)
	case !slices.Contains(f.Namespaces[partition], namespace):
		http.Error(w, "no such namespace: "+namespace, http.StatusBadRequest)
	case path == "config":
		f.putEntry(w, r, at)
	case strings.HasPrefix(path, "config/") && r.Method == http.MethodDelete:
		delete(f.entries, at+kind+"/"+name)
		reply(w, true)
	case strings.HasPrefix(path, "config/") && name != "":
		if entry := f.entries[at+kind+"/"+name]; entry != nil {
			reply(w, entry)
		} else {
			http.Error(w, "no such entry", http.StatusNotFound)
		}
	case strings.HasPrefix(path, "config/"):
		all := []map[string]any{}
		for key, entry := range f.entries {
			if strings.HasPrefix(key, at+kind+"/") {
				all = append(all, entry)
			}
		}
		reply(w, all)
	case strings.HasPrefix(path, "catalog/node-services/"):
		list := api.CatalogNodeServiceList{}
		for key, service := range f.services {
			if strings.HasPrefix(key, at) {
				list.Services = append(list.Services, &api.AgentService{
					ID: service.ServiceID, Service: service.ServiceName, Tags: service.ServiceTags, Meta: service.ServiceMeta,
					ModifyIndex: service.ModifyIndex, Partition: partition, Namespace: namespace,
				})
			}
		}
		reply(w, list)
	case path == "catalog/services":
		reply(w, map[string][]string{})
	case path == "txn":
		f.transact(w, r, partition, namespace)
	default:
		http.NotFound(w, r)
	}
}

func (f *FakeEnterprise) putEntry(w http.ResponseWriter, r *http.Request, at string) {
	var entry map[string]any
	_ = json.NewDecoder(r.Body).Decode(&entry)
	f.index++
	entry["ModifyIndex"] = f.index
	f.entries[at+fmt.Sprint(entry["Kind"], "/", entry["Name"])] = entry
	reply(w, true)
}

// transact takes services of one partition and namespace, on a node that is there.
func (f *FakeEnterprise) transact(w http.ResponseWriter, r *http.Request, partition, namespace string) {
	var ops api.TxnOps
	_ = json.NewDecoder(r.Body).Decode(&ops)
	var answer api.TxnResponse
	for i, op := range ops {
		s := op.Service.Service
		if _, ok := f.nodes[partition]; !ok {
			answer.Errors = append(answer.Errors, &api.TxnError{OpIndex: i, What: "Missing node registration"})
		}
		if s.Partition != partition || s.Namespace != namespace {
			answer.Errors = append(answer.Errors, &api.TxnError{OpIndex: i, What: "it names " + s.Partition + "/" + s.Namespace})
		}
	}
	if len(answer.Errors) > 0 {
		w.WriteHeader(http.StatusConflict)
		reply(w, answer)
		return
	}
	for _, op := range ops {
		s, key := op.Service.Service, partition+"/"+namespace+"/"+op.Service.Service.Service
		f.index++
		if strings.HasPrefix(string(op.Service.Verb), "delete") {
			delete(f.services, key)
		} else {
			f.services[key] = api.CatalogService{ServiceID: s.ID, ServiceName: s.Service, ServiceTags: s.Tags, ServiceMeta: s.Meta, ModifyIndex: f.index}
		}
	}
	reply(w, answer)
}

func reply(w http.ResponseWriter, body any) {
	if err := json.NewEncoder(w).Encode(body); err != nil {
		panic(err)
	}
}
