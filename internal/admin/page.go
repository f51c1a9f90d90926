package admin

import (
	"bytes"
	"cmp"
	"embed"
	"encoding/json"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// The pages work without JavaScript and ask nobody but this server for anything.
//
//go:embed templates/*.html
var templates embed.FS

//go:embed page.css page.js icon.svg
var static embed.FS

// policy is the Content-Security-Policy of the pages: nothing inline, nothing from
// elsewhere, so that a name out of Consul or AWS can never become a script.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

var pages = map[string]*template.Template{}

func init() { // a mistake in a template shows in every test
	functions := template.FuncMap{
		"ago":          func(t time.Time) string { return ago(time.Since(t)) },
		"counted":      counted,
		"thousands":    thousands,
		"segments":     segments,
		"keptBy":       keptBy,
		"filter":       func(rows any, by, one, many string) filter { return filter{rows, by, one, many} },
		"seconds":      func(s *float64) string { return short(time.Duration(*s * float64(time.Second))) },
		"functionPage": functionPage,
	}
	for _, name := range []string{"overview", "functions", "function", "proxies", "proxy", "registrator", "missing"} {
		pages[name] = template.Must(template.New(name).Funcs(functions).ParseFS(templates, "templates/layout.html", "templates/"+name+".html"))
	}
}

// view is what a page shows; Data is also its JSON twin, unless that is another.
type view struct {
	page  string // its template
	title string
	data  any
	twin  any // nil: data
}

// link is one of the navigation.
type link struct {
	Text, Path string
	Current    bool
}

var navigation = []link{
	{Text: "Overview", Path: "/"},
	{Text: "Functions", Path: pathFunctions},
	{Text: "Envoys", Path: pathProxies},
	{Text: "Registrator", Path: pathRegistrator},
}

// addPages adds each page and its JSON twin.
func (s Sources) addPages(mux *http.ServeMux) {
	for pattern, show := range map[string]func(*http.Request) (view, bool){
		"/{$}":                       s.showOverview,
		pathFunctions:                s.showFunctions,
		pathFunctions + "/{name...}": s.showFunction,
		pathProxies:                  s.showProxies,
		pathProxies + "/{id...}":     s.showProxy,
		pathRegistrator:              s.showRegistrator,
	} {
		mux.HandleFunc("GET "+pattern, func(w http.ResponseWriter, r *http.Request) { writePage(w, r, show) })
		twin := pathAPI + pattern
		if pattern == "/{$}" {
			twin = pathAPI + "/overview"
		}
		mux.HandleFunc("GET "+twin, func(w http.ResponseWriter, r *http.Request) { writeTwin(w, r, show) })
	}
	files := http.FileServerFS(static)
	mux.Handle("GET /static/", http.StripPrefix("/static/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secure(w)
		files.ServeHTTP(w, r)
	})))
}

func (s Sources) showOverview(*http.Request) (view, bool) {
	return view{page: "overview", title: "Overview", data: s.overview(time.Now())}, true
}

func (s Sources) showFunctions(r *http.Request) (view, bool) {
	shown := fitting(s.functions(time.Now()), r, func(f Function) []string {
		return []string{f.FullName(), f.ARN, string(f.State)}
	})
	return view{page: "functions", title: "Functions", data: shown, twin: shown.All}, true
}

func (s Sources) showFunction(r *http.Request) (view, bool) {
	name := r.PathValue("name")
	for _, f := range s.functions(time.Now()) {
		if strings.EqualFold(f.FullName(), name) {
			return view{page: "function", title: f.FullName(), data: f.on(r), twin: f}, true
		}
	}
	return missing("No service of this name has Meta that speaks of Lambda: " + name), false
}

func (s Sources) showProxies(r *http.Request) (view, bool) {
	shown := fitting(s.State(time.Now()).Proxies, r, func(p Proxy) []string {
		return []string{p.ID, p.Kind, p.EnvoyVersion}
	})
	return view{page: "proxies", title: "Envoys", data: shown, twin: shown.All}, true
}

func (s Sources) showProxy(r *http.Request) (view, bool) {
	id := r.PathValue("id")
	proxies := slices.DeleteFunc(s.State(time.Now()).Proxies, func(p Proxy) bool { return p.ID != id })
	if len(proxies) == 0 {
		return missing("No Envoy of this ID is connected: " + id), false
	}
	// A hot restart has two of one ID, of which one has just begun.
	one := slices.MaxFunc(proxies, func(a, b Proxy) int { return cmp.Compare(len(a.Patched), len(b.Patched)) })
	return view{page: "proxy", title: id, data: one.on(r), twin: one}, true
}

func (s Sources) showRegistrator(*http.Request) (view, bool) {
	return view{page: "registrator", title: "Registrator", data: s.registratorPage()}, true
}

func missing(text string) view {
	return view{page: "missing", title: "Not found", data: text, twin: map[string]string{"error": text}}
}

// writePage writes a page as HTML.
func writePage(w http.ResponseWriter, r *http.Request, show func(*http.Request) (view, bool)) {
	v, found := show(r)
	nav := slices.Clone(navigation)
	for i := range nav {
		at := nav[i].Path
		nav[i].Current = r.URL.Path == at || at != "/" && strings.HasPrefix(r.URL.Path, at+"/")
	}
	twin := pathAPI + r.URL.EscapedPath()
	if r.URL.Path == "/" {
		twin = pathAPI + "/overview"
	}
	if q := r.FormValue("q"); q != "" {
		twin += "?" + url.Values{"q": {q}}.Encode()
	}
	var body bytes.Buffer
	err := pages[v.page].ExecuteTemplate(&body, "layout", map[string]any{"Title": v.title, "Nav": nav, "Twin": twin, "Data": v.data})
	if err != nil {
		text(w, http.StatusInternalServerError, "the page could not be made: "+err.Error())
		return
	}
	secure(w)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(statusOf(found))
	_, _ = w.Write(body.Bytes())
}

// writeTwin writes what a page shows as JSON.
func writeTwin(w http.ResponseWriter, r *http.Request, show func(*http.Request) (view, bool)) {
	v, found := show(r)
	data := v.twin
	if data == nil {
		data = v.data
	}
	secure(w) // names stand in it as they are
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(statusOf(found))
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	_ = enc.Encode(data) // the client is gone: nobody is left to tell
}

func statusOf(found bool) int {
	if found {
		return http.StatusOK
	}
	return http.StatusNotFound
}

func secure(w http.ResponseWriter) {
	w.Header().Set("Content-Security-Policy", policy)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Referrer-Policy", "no-referrer")
}
