package xds

import (
	"fmt"

	"google.golang.org/grpc/encoding/proto"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
)

// rawFrame is a message as it stands on the wire.
type rawFrame []byte

// codec carries *rawFrame as it is and everything else as protobuf.
type codec struct{ proto encoding.CodecV2 }

func newCodec() codec { return codec{proto: encoding.GetCodecV2(proto.Name)} }

// Name is protobuf's: the peers must not see a difference.
func (codec) Name() string { return proto.Name }

// Marshal implements encoding.CodecV2.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if frame, ok := v.(*rawFrame); ok {
		return mem.BufferSlice{mem.SliceBuffer(*frame)}, nil
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
