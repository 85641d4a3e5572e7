package http1

// Body follows where the body of a message ends. Its zero value is that of a
// message without one. What it says depends on the bytes alone, not on how they
// are split over calls.
type Body struct {
	left    int64  // bytes of data left, of the body or of the chunk
	names   uint32 // the names of refusedTrailers that begin like this trailer's
	line    uint16 // bytes of this chunk's extensions, or of this trailer's name
	trailer uint16 // bytes of the trailer section
	fields  uint8  // of the trailer section
	digits  uint8  // of the chunk's size
	state   bodyState
}

// bodyState is what the next byte of a body is.
type bodyState uint8

const (
	bodyDone   bodyState = iota // of what comes after it
	bodyBroken                  // of no further use after a fault
	bodyLength                  // of a body of known length
	bodyClose                   // of a body until the connection ends
	chunkData                   // of a chunk's data
	// From here on framing, which is read byte by byte.
	chunkDataCR
	chunkDataLF
	chunkSize
	chunkPad       // white space before a ";"
	chunkName      // the first of an extension's name or white space before it
	chunkNameRest  // further ones of the name
	chunkNamePad   // white space after the name
	chunkValue     // the first of an extension's value or white space before it
	chunkValueRest // further ones of a value that is a token
	chunkQuoted    // of a value in quotes
	chunkEscaped   // after a backslash in quotes
	chunkUnquoted  // after the quotes
	chunkSizeLF    // the line feed of a size line
	trailerStart   // the first of a trailer line
	trailerName    // further ones of its name
	trailerValue   // of its value
	trailerLF      // its line feed
	trailerFinalLF // the line feed that ends the body
)

// Reset begins a body. The length is of no concern unless the framing is
// FramingLength; then it is not negative.
func (b *Body) Reset(f Framing, length int64) {
	*b = Body{}
	switch f {
	case FramingLength:
		if length > 0 {
			b.left, b.state = length, bodyLength
		}
	case FramingChunked:
		b.state = chunkSize
	case FramingClose:
		b.state = bodyClose
	}
}

// Advance takes the next bytes of the connection and returns how many of them
// belong to the body, its framing included; it stops where the body ends. The
// error is a [*Fault]; then n bytes came before the one at fault.
func (b *Body) Advance(p []byte) (n int, err error) {
	for n < len(p) && b.state != bodyDone {
		k, _, err := b.Payload(p[n:])
		n += k
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// Payload takes the next n of the bytes p of the connection and returns the
// data in them without framing: the first run of it in p, which is empty if p
// holds framing only. What is left of p, if the body is not done, is for the
// next call. The error is as with [Body.Advance].
func (b *Body) Payload(p []byte) (n int, payload []byte, err error) {
	switch {
	case b.state == bodyDone:
		return 0, nil, nil
	case b.state == bodyBroken:
		return 0, nil, FaultBroken
	case b.state == bodyClose:
		return len(p), p, nil
	case b.state > chunkData:
		var fault *Fault
		if n, fault = b.skipFraming(p); fault != nil {
			b.state = bodyBroken
			return n, nil, fault
		}
		if b.state != chunkData {
			return n, nil, nil
		}
	}
	k := min(b.left, int64(len(p)-n))
	payload = p[n : n+int(k) : n+int(k)]
	b.take(k)
	return n + int(k), payload, nil
}

// take counts n bytes of data, of no more than are left.
func (b *Body) take(n int64) {
	if b.left -= n; b.left > 0 {
		return
	}
	if b.state == bodyLength {
		b.state = bodyDone
	} else {
		b.state = chunkDataCR
	}
}

// Done tells whether the body has ended. One until the connection ends is done
// after [Body.End].
func (b *Body) Done() bool { return b.state == bodyDone }

// Left is how many bytes may be relayed without a look at them: what is left of
// a body with a length, else 0.
func (b *Body) Left() int64 {
	if b.state == bodyLength {
		return b.left
	}
	return 0
}

// Skip counts n bytes, of no more than are left, that were relayed without
// [Body.Advance].
func (b *Body) Skip(n int64) {
	if b.state == bodyLength {
		b.take(min(n, b.left))
	}
}

// End takes in that the connection has ended. The error is [FaultCutShort] if
// more of the body was to come.
func (b *Body) End() error {
	if b.state == bodyClose {
		b.state = bodyDone
	}
	if b.state != bodyDone {
		return FaultCutShort
	}
	return nil
}
