// Package frames carries delta xDS messages as bytes: what measures a relay must
// cost less than the relay.
package frames

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
)

// Frame is a message as it stands on the wire.
type Frame []byte

// Parts is a message in pieces, sent one after the other without being joined. It
// cannot be received.
type Parts [][]byte

// Codec carries *Frame and Parts as they are, and everything else as protobuf.
type Codec struct{}

// Name is protobuf's: the peers must not see a difference.
func (Codec) Name() string { return proto.Name }

// Marshal implements encoding.CodecV2.
func (Codec) Marshal(v any) (mem.BufferSlice, error) {
	switch v := v.(type) {
	case *Frame:
		return mem.BufferSlice{mem.SliceBuffer(*v)}, nil
	case Parts:
		var whole mem.BufferSlice
		for _, part := range v {
			whole = append(whole, mem.SliceBuffer(part))
		}
		return whole, nil
	}
	data, err := encoding.GetCodecV2(proto.Name).Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encoding %T: %w", v, err)
	}
	return data, nil
}

// Unmarshal implements encoding.CodecV2.
func (Codec) Unmarshal(data mem.BufferSlice, v any) error {
	if frame, ok := v.(*Frame); ok {
		*frame = data.Materialize()
		return nil
	}
	if err := encoding.GetCodecV2(proto.Name).Unmarshal(data, v); err != nil {
		return fmt.Errorf("decoding %T: %w", v, err)
	}
	return nil
}
