package admin

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// pageRows bounds what a page lists: 10,000 rows are no overview.
const pageRows = 100

// rows are those that fit a query, of which a page shows a part.
type rows[T any] struct {
	Query string
	Rows  []T // on this page
	All   []T // that fit
	Page  int // from 1
}

// fitting are the rows of which one of the words holds what the request asks for (q),
// with the page that it asks for (page), or the nearest that there is.
func fitting[T any](all []T, r *http.Request, words func(T) []string) rows[T] {
	query := strings.TrimSpace(r.FormValue("q"))
	part := strings.ToLower(query)
	fit := slices.DeleteFunc(slices.Clone(all), func(one T) bool {
		return !slices.ContainsFunc(words(one), func(word string) bool { return strings.Contains(strings.ToLower(word), part) })
	})
	page, _ := strconv.Atoi(r.FormValue("page"))
	shown := rows[T]{Query: query, All: fit, Page: page}
	shown.Page = max(1, min(page, shown.Pages()))
	shown.Rows = fit[min(len(fit), (shown.Page-1)*pageRows):min(len(fit), shown.Page*pageRows)]
	return shown
}

// Pages is how many there are, 0 if nothing fits.
func (r rows[T]) Pages() int { return (len(r.All) + pageRows - 1) / pageRows }

// Many reports whether there are so many, or were before the query, that a filter helps.
func (r rows[T]) Many() bool { return r.Query != "" || r.Pages() > 1 }

// First is the number of the first row on the page, from 1.
func (r rows[T]) First() int { return (r.Page-1)*pageRows + 1 }

// Last is the number of the last one.
func (r rows[T]) Last() int { return r.First() + len(r.Rows) - 1 }

// Previous is where the page before this is; empty if this is the first.
func (r rows[T]) Previous() string { return r.link(r.Page - 1) }

// Next is where the page after this is; empty if this is the last.
func (r rows[T]) Next() string { return r.link(r.Page + 1) }

func (r rows[T]) link(page int) string {
	if page < 1 || page > r.Pages() {
		return ""
	}
	values := url.Values{"page": {strconv.Itoa(page)}}
	if r.Query != "" {
		values.Set("q", r.Query)
	}
	return "?" + values.Encode()
}

// filter is what the form above rows shows.
type filter struct {
	Rows      any
	By        string // what the rows are filtered by
	One, Many string // what a row is
}
