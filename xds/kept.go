package xds

import (
	"bytes"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// kept is the encoding of a Resource of Consul's, remembered for as long as another
// form of it may be sent or Consul's own may have to be restored. Most of such a
// cluster is the proxy's own certificate, its key and the roots, the same in each
// cluster of a stream (1.22.5: 2.1 of 2.7 kB), so that is remembered once a stream.
// Never across streams: it is secret.
type kept struct{ head, shared, tail []byte }

// Where the text of keys and certificates begins and ends.
var (
	pemBegin = []byte("-----BEGIN ")
	pemEnd   = []byte("-----END ")
)

// keeper remembers what the clusters of one stream share.
type keeper struct{ last []byte }

// keep copies an encoding.
func (k *keeper) keep(raw []byte) kept {
	begin, end := bytes.Index(raw, pemBegin), bytes.LastIndex(raw, pemEnd)
	if begin < 0 || end < begin {
		return kept{head: bytes.Clone(raw)}
	}
	if !bytes.Equal(k.last, raw[begin:end]) {
		k.last = bytes.Clone(raw[begin:end])
	}
	return kept{head: bytes.Clone(raw[:begin]), shared: k.last, tail: bytes.Clone(raw[end:])}
}

// is reports whether an encoding is the one that was kept.
func (k kept) is(raw []byte) bool {
	tail := len(k.head) + len(k.shared)
	return len(raw) == tail+len(k.tail) && bytes.Equal(raw[:len(k.head)], k.head) &&
		bytes.Equal(raw[len(k.head):tail], k.shared) && bytes.Equal(raw[tail:], k.tail)
}

// resource is the Resource that was kept, in memory of its own.
func (k kept) resource() resource {
	size := len(k.head) + len(k.shared) + len(k.tail)
	field := make([]byte, 0, size+protowire.SizeTag(responseResources)+protowire.SizeBytes(0)+10)
	field = protowire.AppendTag(field, responseResources, protowire.BytesType)
	field = protowire.AppendVarint(field, uint64(size))
	at := len(field)
	field = append(append(append(field, k.head...), k.shared...), k.tail...)
	field = slices.Clip(field)
	words := words{left: 1}
	res, err := words.resource(field[at:])
	if err != nil { // the same bytes were read before
		panic(err)
	}
	res.field = field
	return res
}
