package frames

import "google.golang.org/protobuf/encoding/protowire"

// Each calls f for the fields of an encoded message that are strings, bytes or
// messages, and for varints with a nil value, until f returns false. It reports
// whether the encoding is sound as far as it went.
func Each(b []byte, f func(field protowire.Number, number uint64, value []byte) bool) bool {
	for len(b) > 0 {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return false
		}
		b = b[n:]
		var number uint64
		var value []byte
		switch kind {
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			value, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(field, kind, b)
		}
		if n < 0 {
			return false
		}
		b = b[n:]
		if (kind == protowire.VarintType || kind == protowire.BytesType) && !f(field, number, value) {
			return true
		}
	}
	return true
}

// At is the last value at a path of fields; nil if there is none.
func At(b []byte, path ...protowire.Number) (found []byte) {
	Each(b, func(field protowire.Number, _ uint64, value []byte) bool {
		if field == path[0] && value != nil {
			if found = value; len(path) > 1 {
				found = At(value, path[1:]...)
			}
		}
		return true
	})
	return found
}
