package http2

import "fmt"

// Code is an error code of RFC 9113 section 7.
type Code uint32

// The codes of RFC 9113 section 7.
const (
	NoError            Code = 0x0
	ProtocolError      Code = 0x1
	InternalError      Code = 0x2
	FlowControlError   Code = 0x3
	SettingsTimeout    Code = 0x4
	StreamClosed       Code = 0x5
	FrameSizeError     Code = 0x6
	RefusedStream      Code = 0x7
	Cancel             Code = 0x8
	CompressionError   Code = 0x9
	ConnectError       Code = 0xa
	EnhanceYourCalm    Code = 0xb
	InadequateSecurity Code = 0xc
	HTTP11Required     Code = 0xd
)

var codeNames = [...]string{
	"NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
	"FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
	"INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
}

// String is the code's name in RFC 9113, or its number.
func (c Code) String() string {
	if int(c) < len(codeNames) {
		return codeNames[c]
	}
	return fmt.Sprintf("code %#x", uint32(c))
}

// ConnError is a fault of the peer that ends the connection.
type ConnError struct {
	Code   Code
	Reason string // what is wrong, in lower case; the GOAWAY carries it too
}

func (e *ConnError) Error() string { return e.Code.String() + ": " + e.Reason }

// StreamError is why a stream has ended before its time.
type StreamError struct {
	Code   Code
	Reason string // what is wrong with what the peer sent; empty if the peer reset the stream
	// Remote: the peer reset the stream, or ended the connection. Else the peer
	// broke a rule, and has been sent a RST_STREAM.
	Remote bool
	// Unprocessed: the peer promises that it did nothing with the request, which
	// may hence be sent again elsewhere whatever its method (RFC 9113 section 8.7).
	Unprocessed bool
}

func (e *StreamError) Error() string {
	if e.Reason == "" {
		return e.Code.String()
	}
	return e.Code.String() + ": " + e.Reason
}
