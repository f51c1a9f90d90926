//go:build extra

package site

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/lambdamesh/lambdamesh/internal/testmesh"
)

// TestBrowserSite opens each page of the site that "make docs" built: a browser asks no other
// host for anything, finds all that the page names, and finds a word by the search.
func TestBrowserSite(t *testing.T) {
	pages, err := filepath.Glob(root + "/build/site/*.html")
	if err != nil || len(pages) < 15 {
		t.Fatalf("found %d pages, %v: make docs builds them", len(pages), err)
	}
	files := http.FileServer(http.Dir(root + "/build/site"))
	var mu sync.Mutex
	var missing []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen := &status{ResponseWriter: w}
		files.ServeHTTP(seen, r)
		if seen.code >= http.StatusBadRequest {
			mu.Lock()
			defer mu.Unlock()
			missing = append(missing, r.URL.Path)
		}
	}))
	defer server.Close()

	allocator, cancel := chromedp.NewExecAllocator(t.Context(), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU)
	defer cancel()
	ctx, cancel := chromedp.NewContext(allocator, chromedp.WithListener(func(ev any) {
		if sent, ok := ev.(*network.EventRequestWillBeSent); ok {
			if url := sent.Request.URL; !strings.HasPrefix(url, server.URL+"/") && !strings.HasPrefix(url, "data:") && !strings.HasPrefix(url, "blob:"+server.URL) {
				t.Errorf("%s asks for %s", sent.DocumentURL, url)
			}
		}
	}))
	defer cancel()
	ctx, cancel = context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for _, page := range pages {
		if err := chromedp.Do(ctx, chromedp.Navigate(server.URL+"/"+filepath.Base(page))); err != nil {
			t.Fatal(err)
		}
	}
	// As a person does: the search reads its index when somebody is about to type.
	const search = `(() => {
		const input = document.querySelector('.md-search__input');
		if (document.querySelector('.md-search-result a[href*="runbook.html"]')) return true;
		input.focus();
		input.value = 'runbook';
		input.dispatchEvent(new Event('keyup'));
		return false;
	})()`
	if err := chromedp.Do(ctx, chromedp.Navigate(server.URL+"/")); err != nil {
		t.Fatal(err)
	}
	// Asked anew each time, as the page's script context may still be the last page's.
	if err := testmesh.Poll(ctx, func(ctx context.Context) error {
		found, err := chromedp.Run(ctx, chromedp.Evaluate[bool](search))
		if err == nil && !found {
			err = errors.New("the search does not find the runbook")
		}
		return err
	}); err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(missing) > 0 {
		t.Errorf("pages name what is not there: %v", missing)
	}
}

// status notes the code of an answer.
type status struct {
	http.ResponseWriter
	code int
}

func (s *status) WriteHeader(code int) {
	s.code = code
	s.ResponseWriter.WriteHeader(code)
}
