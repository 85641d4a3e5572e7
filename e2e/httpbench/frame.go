//go:build linux

package main

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	frameHead = 9 // bytes before a frame's payload (RFC 9113 section 4.1)
	frameMost = 16 << 10
	// windowRefill is after how many bytes of bodies the sender gets new window.
	windowRefill = 1 << 28
	windowFirst  = 65535 // of a connection, before any update
)

// framed is what both ends of an HTTP/2 connection have alike. It holds no
// socket: bytes go in by take and gather in out.
type framed struct {
	in      []byte // the begin of a frame that came in pieces
	out     []byte // frames to be sent
	decoder *hpack.Decoder
	fields  []hpack.HeaderField // of the block that is being read
	block   []byte              // the begin of a block that goes on in a CONTINUATION
	ends    bool                // the stream, after that block
	window  int                 // what the peer lets us send on the connection
	taken   int                 // bytes of bodies since the last window update
	held    []outgoing          // what waits for window
	indexes bool                // our blocks need a table of 4096 bytes at the peer's
	streams int                 // the peer's SETTINGS_MAX_CONCURRENT_STREAMS, 0 before
}

// outgoing is a message that the flow control holds back: a body, and for an
// answer the trailers after it.
type outgoing struct {
	stream         uint32
	body, trailers []byte
}

// endpoint is what the messages of a connection are for. It may call send; what
// it is given is valid until it returns.
type endpoint interface {
	head(stream uint32, fields []hpack.HeaderField, ends bool) error
	data(stream uint32, piece []byte, ends bool) error
}

// newFramed begins a connection with large windows, so that flow control costs
// nothing but an update now and then.
func newFramed(preface string) *framed {
	f := &framed{window: windowFirst}
	f.decoder = hpack.NewDecoder(4096, func(field hpack.HeaderField) { f.fields = append(f.fields, field) })
	f.out = append(f.out, preface...)
	var setting [6]byte
	binary.BigEndian.PutUint16(setting[:], uint16(http2.SettingInitialWindowSize))
	binary.BigEndian.PutUint32(setting[2:], 1<<30)
	f.out = appendFrame(f.out, http2.FrameSettings, 0, 0, setting[:])
	f.grant(1 << 30)
	return f
}

// appendFrame writes a frame.
func appendFrame(to []byte, kind http2.FrameType, flags http2.Flags, stream uint32, payload []byte) []byte {
	n := len(payload)
	to = append(to, byte(n>>16), byte(n>>8), byte(n), byte(kind), byte(flags))
	to = binary.BigEndian.AppendUint32(to, stream)
	return append(to, payload...)
}

func (f *framed) grant(bytes uint32) {
	f.out = appendFrame(f.out, http2.FrameWindowUpdate, 0, 0, binary.BigEndian.AppendUint32(nil, bytes))
}

// send writes a head with a body of one frame, and trailers if there are any.
// The body waits if the flow control has no room for it.
func (f *framed) send(stream uint32, block, body, trailers []byte) {
	flags := http2.FlagHeadersEndHeaders
	if body == nil {
		flags |= http2.FlagHeadersEndStream
	}
	f.out = appendFrame(f.out, http2.FrameHeaders, flags, stream, block)
	if body == nil {
		return
	}
	f.held = append(f.held, outgoing{stream, body, trailers})
	f.release()
}

// release sends what the window has room for, in its order.
func (f *framed) release() {
	for len(f.held) > 0 && len(f.held[0].body) <= f.window {
		next := f.held[0]
		f.held = f.held[1:]
		f.window -= len(next.body)
		if next.trailers == nil {
			f.out = appendFrame(f.out, http2.FrameData, http2.FlagDataEndStream, next.stream, next.body)
			continue
		}
		f.out = appendFrame(f.out, http2.FrameData, 0, next.stream, next.body)
		f.out = appendFrame(f.out, http2.FrameHeaders, http2.FlagHeadersEndHeaders|http2.FlagHeadersEndStream, next.stream, next.trailers)
	}
}

// take reads frames. An error makes the connection useless.
func (f *framed) take(data []byte, to endpoint) error {
	if len(f.in) > 0 {
		f.in = append(f.in, data...)
		data = f.in
	}
	for len(data) >= frameHead {
		size := int(data[0])<<16 | int(data[1])<<8 | int(data[2])
		if size > frameMost {
			return fmt.Errorf("read frame: %d bytes, at most %d were allowed", size, frameMost)
		}
		if len(data) < frameHead+size {
			break
		}
		stream := binary.BigEndian.Uint32(data[5:]) & 0x7fffffff
		payload := data[frameHead : frameHead+size]
		if err := f.frame(http2.FrameType(data[3]), http2.Flags(data[4]), stream, payload, to); err != nil {
			return err
		}
		data = data[frameHead+size:]
	}
	f.in = append(f.in[:0], data...)
	return nil
}

func (f *framed) frame(kind http2.FrameType, flags http2.Flags, stream uint32, payload []byte, to endpoint) error {
	switch kind {
	case http2.FrameData:
		if f.taken += len(payload); f.taken >= windowRefill {
			f.grant(uint32(f.taken))
			f.taken = 0
		}
		piece, err := content(payload, flags, 0)
		if err != nil {
			return err
		}
		return to.data(stream, piece, flags.Has(http2.FlagDataEndStream))
	case http2.FrameHeaders:
		block, err := content(payload, flags, 5)
		if err != nil {
			return err
		}
		f.block, f.ends = append(f.block[:0], block...), flags.Has(http2.FlagHeadersEndStream)
		return f.heads(stream, flags, to)
	case http2.FrameContinuation:
		f.block = append(f.block, payload...)
		return f.heads(stream, flags, to)
	}
	return f.control(kind, flags, stream, payload)
}

// heads shows a block of fields that is complete.
func (f *framed) heads(stream uint32, flags http2.Flags, to endpoint) error {
	if !flags.Has(http2.FlagHeadersEndHeaders) {
		return nil
	}
	f.fields = f.fields[:0]
	if _, err := f.decoder.Write(f.block); err != nil {
		return fmt.Errorf("read fields: %w", err)
	}
	if err := f.decoder.Close(); err != nil {
		return fmt.Errorf("read fields: %w", err)
	}
	return to.head(stream, f.fields, f.ends)
}

// control reads the frames that are no part of messages.
func (f *framed) control(kind http2.FrameType, flags http2.Flags, stream uint32, payload []byte) error {
	switch {
	case kind == http2.FrameSettings && !flags.Has(http2.FlagSettingsAck):
		return f.settings(payload)
	case kind == http2.FramePing && !flags.Has(http2.FlagPingAck):
		f.out = appendFrame(f.out, http2.FramePing, http2.FlagPingAck, 0, payload)
	case kind == http2.FrameWindowUpdate && len(payload) == 4:
		if stream == 0 {
			f.window += int(binary.BigEndian.Uint32(payload) & 0x7fffffff)
			f.release()
		}
	case kind == http2.FrameRSTStream && len(payload) == 4:
		return fmt.Errorf("stream %d was reset: %v", stream, http2.ErrCode(binary.BigEndian.Uint32(payload)))
	case kind == http2.FrameGoAway && len(payload) >= 8:
		return fmt.Errorf("GOAWAY: %v, %.100q", http2.ErrCode(binary.BigEndian.Uint32(payload[4:])), payload[8:])
	}
	return nil
}

// settings reads what the peer allows. Messages of the bench are small: a peer
// that allows less than they need makes no measurement.
func (f *framed) settings(payload []byte) error {
	f.out = appendFrame(f.out, http2.FrameSettings, http2.FlagSettingsAck, 0, nil)
	for ; len(payload) >= 6; payload = payload[6:] {
		value := binary.BigEndian.Uint32(payload[2:])
		switch id := http2.SettingID(binary.BigEndian.Uint16(payload)); id {
		case http2.SettingHeaderTableSize, http2.SettingInitialWindowSize:
			if value < 4096 && (f.indexes || id == http2.SettingInitialWindowSize) {
				return fmt.Errorf("read settings: %v is %d, less than 4096", id, value)
			}
		case http2.SettingMaxConcurrentStreams:
			f.streams = int(min(value, 1<<20))
		}
	}
	return nil
}

// content is a payload without its padding and the priority, which takes so many
// bytes where it is.
func content(payload []byte, flags http2.Flags, priority int) ([]byte, error) {
	padding := 0
	if flags.Has(http2.FlagDataPadded) { // the same bit in HEADERS
		if len(payload) == 0 {
			return nil, errors.New("read frame: padding without its length")
		}
		padding, payload = int(payload[0]), payload[1:]
	}
	if priority > 0 && flags.Has(http2.FlagHeadersPriority) {
		padding += priority
		if len(payload) >= priority {
			payload = payload[priority:]
			padding -= priority
		}
	}
	if padding > len(payload) {
		return nil, fmt.Errorf("read frame: %d bytes of padding in %d", padding, len(payload))
	}
	return payload[:len(payload)-padding], nil
}

// fieldBlocks returns the block of a message's fields at its first time on a
// connection, and every time after it, when the peer's table has them all.
func fieldBlocks(pairs ...string) (first, later []byte) {
	var buffer blockBuffer
	encoder := hpack.NewEncoder(&buffer)
	encode := func() []byte {
		buffer = nil
		for i := 0; i < len(pairs); i += 2 {
			if err := encoder.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]}); err != nil {
				panic(err) // the buffer takes everything
			}
		}
		return buffer
	}
	return encode(), encode()
}

type blockBuffer []byte

func (b *blockBuffer) Write(p []byte) (int, error) {
	*b = append(*b, p...)
	return len(p), nil
}
