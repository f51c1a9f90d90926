package xds

import (
	"fmt"

	"google.golang.org/grpc/encoding/proto"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
)

// rawFrame is a message as it stands on the wire. It is memory of its own, no buffer
// of grpc's pool: parts of it live on as long as something refers to them, and a
// buffer that went back too early would show one Envoy the keys of another.
type rawFrame []byte

// spliced is a message for the wire, in pieces that must not be changed any more.
type spliced mem.BufferSlice

// codec carries these as they are and everything else as protobuf.
type codec struct{ proto encoding.CodecV2 }

func newCodec() codec { return codec{proto: encoding.GetCodecV2(proto.Name)} }

// Name is protobuf's: the peers must not see a difference.
func (codec) Name() string { return proto.Name }

// Marshal implements encoding.CodecV2.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	switch v := v.(type) {
	case spliced:
		return mem.BufferSlice(v), nil
	case *rawFrame:
		return mem.BufferSlice{mem.SliceBuffer(*v)}, nil
	}
	data, err := c.proto.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encoding %T: %w", v, err)
	}
	return data, nil
}

// Unmarshal implements encoding.CodecV2.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	if frame, ok := v.(*rawFrame); ok {
		*frame = data.Materialize()
		return nil
	}
	if err := c.proto.Unmarshal(data, v); err != nil {
		return fmt.Errorf("decoding %T: %w", v, err)
	}
	return nil
}
