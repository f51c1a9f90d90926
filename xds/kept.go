package xds

import (
	"bytes"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// kept is the encoding of a Resource of Consul's, remembered for as long as another
// form of it may be sent or Consul's own may have to be restored. Most of such a
// cluster is the proxy's own certificate, its key and the roots, the same in each
// cluster of a stream (1.22.5: 2.1 of 2.7 kB), so that is remembered once a stream,
// and never across streams: it is secret. What stands around it is the same with
// every proxy that calls the same service, and is in memory once: who comes to it has
// the same bytes already.
//
// It is first a part of the response that it came in, and made small afterwards; see
// compactAfter.
type kept struct {
	head, tail word
	secret     *[]byte // between them; nil for nothing
}

// whole is what is kept of a resource at first.
func whole(raw []byte) kept { return kept{secret: &raw} }

// Where the text of keys and certificates begins and ends.
var (
	pemBegin = []byte("-----BEGIN ")
	pemEnd   = []byte("-----END ")
)

// keeper remembers what the clusters of one stream share.
type keeper struct{ last *[]byte }

// loose is an origin of which what is kept is still a part of the response that it came
// in.
type loose struct {
	*origin
	whole kept
}

// takeLoose are those that are to be made small. Of those that came several times since,
// that is the last.
func (s *session) takeLoose() []loose {
	taken := slices.DeleteFunc(s.loose, func(l loose) bool { return l.consul != l.whole })
	s.loose = nil
	return taken
}

// settle puts a small copy in place of what is kept, if that is still what was copied.
func (l *loose) settle(small kept) {
	if l.consul == l.whole {
		l.consul = small
	}
}

// keep copies an encoding.
func (k *keeper) keep(raw []byte) kept {
	begin := bytes.Index(raw, pemBegin)
	if begin < 0 {
		return keepAll(raw)
	}
	end := begin
	for {
		next := bytes.Index(raw[end+1:], pemEnd) // LastIndex is slow
		if next < 0 {
			break
		}
		end += 1 + next
	}
	if k.last == nil || !bytes.Equal(*k.last, raw[begin:end]) {
		secret := bytes.Clone(raw[begin:end])
		k.last = &secret
	}
	return kept{head: newWord(string(raw[:begin])), secret: k.last, tail: newWord(string(raw[end:]))}
}

// keepAll copies an encoding in which nothing is secret.
func keepAll(raw []byte) kept { return kept{head: newWord(string(raw))} }

// parts are the pieces of the encoding.
func (k kept) parts() (head string, secret []byte, tail string) {
	if k.secret != nil {
		secret = *k.secret
	}
	return k.head.String(), secret, k.tail.String()
}

// is reports whether an encoding is the one that was kept.
func (k kept) is(raw []byte) bool {
	head, secret, tail := k.parts()
	if len(raw) != len(head)+len(secret)+len(tail) {
		return false
	}
	end := len(raw) - len(tail)
	return string(raw[:len(head)]) == head && bytes.Equal(raw[len(head):end], secret) && string(raw[end:]) == tail
}

// resource is the Resource that was kept, in memory of its own.
func (k kept) resource() resource {
	head, secret, tail := k.parts()
	size := len(head) + len(secret) + len(tail)
	field := make([]byte, 0, size+protowire.SizeTag(responseResources)+protowire.SizeBytes(0)+10)
	field = protowire.AppendTag(field, responseResources, protowire.BytesType)
	field = protowire.AppendVarint(field, uint64(size))
	at := len(field)
	field = append(append(append(field, head...), secret...), tail...)
	field = slices.Clip(field)
	words := words{left: 1}
	res, err := words.resource(field[at:])
	if err != nil { // the same bytes were read before
		panic(err)
	}
	res.field = field
	return res
}
