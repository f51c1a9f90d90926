package testmesh

import (
	"cmp"
	"encoding/json"
	"net/http"
	"strconv"
)

// maxPage is AWS's page of GetResources, in resources.
const maxPage = 100

// listing is the rest of a GetResources whose first pages are gone.
type listing struct {
	page int
	rest []json.RawMessage
}

// getResources is what of a GetResources request matters here.
type getResources struct {
	PaginationToken  string
	ResourcesPerPage int
}

func (f *AWSFront) pageOf(token string) int {
	if token == "" {
		return 1
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.listings[token].page
}

// getResources answers one page. The first one takes the whole listing from ministack;
// the rest of it is kept under the token.
func (f *AWSFront) getResources(r *http.Request, body []byte, asked getResources) *answer {
	var rest []json.RawMessage
	page := 1
	header := http.Header{"Content-Type": {"application/x-amz-json-1.1"}}
	if asked.PaginationToken == "" {
		whole := f.pass(r, body)
		if whole.status != http.StatusOK {
			return whole
		}
		var err error
		if rest, err = tagged(whole.body); err != nil {
			return awsError(http.StatusBadGateway, "BadGateway", err.Error())
		}
		header = whole.header
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if asked.PaginationToken != "" {
		l, found := f.listings[asked.PaginationToken]
		if !found {
			return awsError(http.StatusBadRequest, "PaginationTokenExpiredException", "the token is unknown")
		}
		page, rest = l.page, l.rest
	}
	size := min(cmp.Or(asked.ResourcesPerPage, maxPage), f.pageSize, len(rest))
	token := ""
	if size < len(rest) {
		f.tokens++
		token = "page-" + strconv.Itoa(f.tokens)
		f.listings[token] = listing{page: page + 1, rest: rest[size:]}
	}
	text, err := json.Marshal(map[string]any{"PaginationToken": token, "ResourceTagMappingList": append([]json.RawMessage{}, rest[:size]...)})
	if err != nil {
		return awsError(http.StatusBadGateway, "BadGateway", err.Error())
	}
	return &answer{status: http.StatusOK, header: header, body: text}
}

// tagged are the resources of a GetResources answer that have tags.
func tagged(body []byte) ([]json.RawMessage, error) {
	var all struct{ ResourceTagMappingList []json.RawMessage }
	if err := json.Unmarshal(body, &all); err != nil {
		return nil, err
	}
	var list []json.RawMessage
	for _, raw := range all.ResourceTagMappingList {
		var one struct{ Tags []json.RawMessage }
		if err := json.Unmarshal(raw, &one); err != nil {
			return nil, err
		}
		if len(one.Tags) > 0 {
			list = append(list, raw)
		}
	}
	return list, nil
}
