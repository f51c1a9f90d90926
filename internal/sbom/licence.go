package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// licence is a kind of licence, told by words that stand in its text and in no other
// kind's here.
type licence struct {
	id   string   // of SPDX
	says []string // lower case, single spaces
	not  string   // what it does not say
}

// allowed are the licences under which a dependency may be handed on within a program
// under Apache-2.0. MPL-2.0 asks that the source of the files under it can be had, which
// the notices name; the others ask for their text and the names in it.
var allowed = []licence{
	{id: "Apache-2.0", says: []string{"apache license version 2.0, january 2004", "terms and conditions for use, reproduction, and distribution"}},
	{id: "BSD-2-Clause", says: []string{"redistribution and use in source and binary forms", "reproduce the above copyright notice"}, not: "neither the name"},
	{id: "BSD-3-Clause", says: []string{"redistribution and use in source and binary forms", "reproduce the above copyright notice", "neither the name"}},
	{id: "ISC", says: []string{"permission to use, copy, modify, and/or distribute this software for any purpose"}},
	{id: "MIT", says: []string{"permission is hereby granted, free of charge", "the above copyright notice and this permission notice shall be included"}},
	{id: "MIT-0", says: []string{"permission is hereby granted, free of charge", "the software is provided \"as is\""}, not: "the above copyright notice and this permission notice"},
	{id: "MPL-2.0", says: []string{"mozilla public license,? version 2.0", "covered software"}},
}

// refused are titles of licences, and of conditions that are added to others, under which
// nothing may come in. They stand in a text's first lines; further down, other licences
// are named in passing.
var refused = regexp.MustCompile(`general public license|business source license|server side public license|elastic license|commons clause|source[- ]available|non-?commercial|proprietary`)

// titleLength is how much of a text, in bytes, may be its title.
const titleLength = 400

var (
	licenceFile = regexp.MustCompile(`(?i)^(un)?(licen[cs]e|copying)([._-].*)?$`)
	noticeFile  = regexp.MustCompile(`(?i)^(notice|patents)(\..*)?$`)
	space       = regexp.MustCompile(`\s+`)
)

// classify names the licence of a text; empty if it is none of ours.
func classify(text string) string {
	text = space.ReplaceAllString(strings.ToLower(text), " ")
	if refused.MatchString(text[:min(titleLength, len(text))]) {
		return ""
	}
	for _, l := range allowed {
		says := !slices.ContainsFunc(l.says, func(words string) bool {
			found, _ := regexp.MatchString(words, text)
			return !found
		})
		if says && (l.not == "" || !strings.Contains(text, l.not)) {
			return l.id
		}
	}
	return ""
}

// legal are the licences of a module and the texts that are to be handed on with it.
type legal struct {
	ids   []string // of SPDX, sorted
	texts []string // licences first, then notices; by the names of their files
}

// readLegal reads the licences of the module whose files are in dir. A module without a
// licence that is allowed is an error, and so is one with a text that looks like another
// licence.
func readLegal(dir string) (legal, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return legal{}, err
	}
	var l legal
	var notices []string
	for _, entry := range entries {
		isLicence := licenceFile.MatchString(entry.Name())
		if entry.IsDir() || !isLicence && !noticeFile.MatchString(entry.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			return legal{}, err
		}
		if !isLicence {
			notices = append(notices, string(text))
			continue
		}
		id := classify(string(text))
		// aws-lambda-go explains in a file of its own which of its licences is for what.
		if id == "" && !strings.EqualFold(entry.Name(), "LICENSE-SUMMARY") {
			return legal{}, fmt.Errorf("%s is no licence that is allowed", entry.Name())
		}
		if id != "" && !slices.Contains(l.ids, id) {
			l.ids = append(l.ids, id)
		}
		l.texts = append(l.texts, string(text))
	}
	if len(l.ids) == 0 {
		return legal{}, fmt.Errorf("there is no licence")
	}
	slices.Sort(l.ids)
	l.texts = append(l.texts, notices...)
	return l, nil
}
