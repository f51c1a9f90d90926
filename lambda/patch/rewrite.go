package patch

import "google.golang.org/protobuf/encoding/protowire"

// rewrite is an encoded message in which f has changed the messages at a path of
// fields. All else stays byte for byte; if f changes nothing, or the encoding is not
// sound, it is raw itself. f returns what it is given where there is nothing to change.
func rewrite(raw []byte, f func([]byte) []byte, path ...protowire.Number) []byte {
	var out []byte // nil as long as nothing has changed
	for at := 0; at < len(raw); {
		number, kind, n := protowire.ConsumeField(raw[at:])
		if n < 0 {
			return raw
		}
		field := raw[at : at+n]
		if number == path[0] && kind == protowire.BytesType {
			_, _, tag := protowire.ConsumeTag(field)
			value, _ := protowire.ConsumeBytes(field[tag:])
			change := f
			if len(path) > 1 {
				change = func(value []byte) []byte { return rewrite(value, f, path[1:]...) }
			}
			changed := change(value)
			if !same(changed, value) {
				if out == nil {
					out = append(make([]byte, 0, len(raw)+64), raw[:at]...)
				}
				out = protowire.AppendTag(out, number, kind)
				out = protowire.AppendBytes(out, changed)
				at += n
				continue
			}
		}
		if out != nil {
			out = append(out, field...)
		}
		at += n
	}
	if out == nil {
		return raw
	}
	return out
}

// same reports whether two slices are one, which tells an unchanged message without
// comparing it.
func same(a, b []byte) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// with is an encoded message with one more field, in memory of its own.
func with(raw []byte, field protowire.Number, value []byte) []byte {
	out := append(make([]byte, 0, len(raw)+len(value)+8), raw...)
	out = protowire.AppendTag(out, field, protowire.BytesType)
	return protowire.AppendBytes(out, value)
}

// present reports whether an encoded message has a message, string or bytes in a
// field, be it an empty one.
func present(raw []byte, field protowire.Number) (found bool) {
	_ = scan(raw, func(number protowire.Number, _ uint64, bytes []byte) {
		found = found || number == field && bytes != nil
	})
	return found
}
