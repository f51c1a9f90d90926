//go:build extra

package admin_test

import (
	"context"
	"flag"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/lambdamesh/lambdamesh/internal/admin"
	"github.com/prometheus/client_golang/prometheus"
)

var (
	screenshots = flag.String("screenshots", "", "keep the documentation's pictures of the pages in this `folder`")
	gallery     = flag.String("gallery", "", "keep a picture of each page as it may look in this `folder`, to be looked at")
)

// browser is a real one, which ends with the test.
func browser(t *testing.T) context.Context {
	t.Helper()
	allocator, cancel := chromedp.NewExecAllocator(t.Context(), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func do(t *testing.T, ctx context.Context, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

func ask[T any](t *testing.T, ctx context.Context, step chromedp.Action[T]) T {
	t.Helper()
	got, err := chromedp.Run(ctx, step)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// command is a command of the browser's own protocol.
func command[P any](of cdp.Command[P, cdp.Empty], params P) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, of, params)
		return chromedp.Void{}, err
	}
}

// until waits until an expression is true in the page.
func until(t *testing.T, ctx context.Context, expression string) {
	t.Helper()
	ask(t, ctx, chromedp.Poll[bool](expression, chromedp.WithPollingInterval(20*time.Millisecond), chromedp.WithPollingTimeout(20*time.Second)))
}

// follow clicks on a link, and waits until its page is there.
func follow(t *testing.T, ctx context.Context, link string) {
	t.Helper()
	if _, err := chromedp.RunResponse(ctx, chromedp.Click(link)); err != nil {
		t.Fatal(err)
	}
}

// picture keeps a picture of what is shown in a folder, unless that is empty.
func picture(t *testing.T, ctx context.Context, folder, name string) {
	t.Helper()
	if folder == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(folder, name+".png"), ask(t, ctx, chromedp.FullScreenshot(100)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// scheme has the browser prefer light or dark colours.
func scheme(name string) chromedp.Action[chromedp.Void] {
	return command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}},
	})
}

// The screens that the pages are made for.
const wide, narrow = 1280, 390

// TestBrowser: a person finds the way through the pages, sees a change without doing
// anything, sees what is wrong, and sees it on a telephone too.
func TestBrowser(t *testing.T) {
	var unready atomic.Value
	unready.Store("")
	var added atomic.Bool
	sources := shown()
	few, more := sources, shown(function("just-added", true, nil))
	sources.Unready = func() string { return unready.Load().(string) }
	sources.Table = func() admin.Table {
		if added.Load() {
			return more.Table()
		}
		return few.Table()
	}
	server := httptest.NewServer(handler(sources))
	defer server.Close()
	ctx := browser(t)

	do(t, ctx, chromedp.EmulateViewport(wide, 800), chromedp.Navigate(server.URL))
	until(t, ctx, `document.getElementById("live").textContent === "live"`)
	picture(t, ctx, *screenshots, "overview")

	// Each page is a click away, and its name is in the title.
	for _, step := range []struct{ link, title, name string }{
		{`nav a[href="/functions"]`, "Functions", "functions"},
		{`a[href="/functions/checkout"]`, "checkout", "function"},
		{`a[href="/proxies/gateway-1"]`, "gateway-1", "proxy"},
		{`nav a[href="/proxies"]`, "Envoys", "proxies"},
		{`nav a[href="/registrator"]`, "Registrator", "registrator"},
	} {
		follow(t, ctx, step.link)
		if title := ask(t, ctx, chromedp.Title()); title != step.title+" · lambdamesh" {
			t.Errorf("%s leads to %q", step.link, title)
		}
		picture(t, ctx, *screenshots, step.name)
	}

	// A change appears by itself, and takes nothing out of a person's hands: not while
	// something is selected, and the link in focus keeps it.
	do(t, ctx, chromedp.Navigate(server.URL+"/functions"))
	until(t, ctx, `getSelection().selectAllChildren(document.querySelector("h1")) || true`)
	added.Store(true)
	until(t, ctx, `document.getElementById("live").textContent === "paused"`)
	if ask(t, ctx, chromedp.Evaluate[bool](`document.querySelector('a[href="/functions/just-added"]') !== null`)) {
		t.Error("the page changed under a selection")
	}
	until(t, ctx, `getSelection().removeAllRanges() || document.querySelector('a[href="/functions/checkout"]').focus() || true`)
	until(t, ctx, `document.querySelector('a[href="/functions/just-added"]') !== null && document.activeElement.getAttribute("href") === "/functions/checkout"`)

	// An error state.
	do(t, ctx, chromedp.Navigate(server.URL))
	unready.Store("Consul's xDS: 127.0.0.1:8502: connection refused")
	until(t, ctx, `document.querySelector("h1").textContent === "Not ready"`)
	picture(t, ctx, *screenshots, "not-ready")

	// lambdamesh goes away: what is shown is said to be old.
	do(t, ctx, scheme("dark"))
	picture(t, ctx, *screenshots, "dark")
	do(t, ctx, chromedp.EmulateViewport(narrow, 844), chromedp.Navigate(server.URL+"/functions/checkout"))
	picture(t, ctx, *screenshots, "narrow-functions-checkout")
	server.CloseClientConnections()
	server.Close()
	until(t, ctx, `document.getElementById("live").textContent.startsWith("no answer since") && document.body.classList.contains("old")`)
}

// TestBrowserRunsNoName: a name that is a script does not run.
func TestBrowserRunsNoName(t *testing.T) {
	one := function("x", true, nil)
	one.Name.Name = evil
	server := httptest.NewServer(handler(shown(one)))
	defer server.Close()
	ctx := browser(t)
	do(t, ctx, chromedp.Navigate(server.URL+"/functions"))
	if title := ask(t, ctx, chromedp.Title()); title != "Functions · lambdamesh" {
		t.Errorf("the title is %q", title)
	}
}

// TestBrowserWithoutScripts: all is there without JavaScript.
func TestBrowserWithoutScripts(t *testing.T) {
	server := httptest.NewServer(handler(shown()))
	defer server.Close()
	ctx := browser(t)
	do(t, ctx, command(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}), chromedp.Navigate(server.URL+"/functions"))
	follow(t, ctx, `a[href="/functions/mail"]`)
	if words := ask(t, ctx, chromedp.Text("main")); !strings.Contains(words, "not a whole number") {
		t.Errorf("the page says %q", words)
	}
}

// TestBrowserToken: where a token is needed, a browser asks for it as a password, once:
// the page goes on by itself.
func TestBrowserToken(t *testing.T) {
	var added atomic.Bool
	few, more := shown(), shown(function("just-added", true, nil))
	sources := shown()
	sources.Table = func() admin.Table {
		if added.Load() {
			return more.Table()
		}
		return few.Table()
	}
	server := httptest.NewServer(admin.Handler(sources, prometheus.NewRegistry(), "s3cret"))
	defer server.Close()
	ctx := browser(t)
	do(t, ctx, chromedp.Navigate(strings.Replace(server.URL, "//", "//anybody:s3cret@", 1)+"/functions"))
	until(t, ctx, `document.querySelector('a[href="/functions/checkout"]') !== null`)
	added.Store(true)
	until(t, ctx, `document.querySelector('a[href="/functions/just-added"]') !== null`)
}
