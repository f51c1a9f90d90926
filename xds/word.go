package xds

import "unique"

// word is a name or a version. The same text is in memory once, however many Envoys
// have it: their names and versions are much the same, and each has dozens to
// thousands. The zero value is the empty text; words are compared with ==.
type word struct{ handle unique.Handle[string] }

func newWord(text string) word {
	if text == "" {
		return word{}
	}
	return word{unique.Make(text)}
}

// to is the word of a text, which is often this one.
func (w word) to(text string) word {
	if w.String() == text {
		return w
	}
	return newWord(text)
}

// String is the text.
func (w word) String() string {
	if w == (word{}) {
		return ""
	}
	return w.handle.Value()
}
