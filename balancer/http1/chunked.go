package http1

const (
	// maxSizeDigits bounds a chunk's size with its leading zeros; 16 digits
	// hold all of an int64.
	maxSizeDigits = 16
	// maxExtensions bounds the extensions of one chunk, in bytes. Known ones
	// (the signatures of object stores) take a tenth of it. They are not
	// bounded over all chunks, of which there is no end either.
	maxExtensions = 1 << 10
)

// skipFraming reads framing up to the next data or the end of the body or of p:
// RFC 9112 section 7.1.
func (b *Body) skipFraming(p []byte) (n int, fault *Fault) {
	for n < len(p) && b.state > chunkData {
		if fault := b.step(p[n]); fault != nil {
			return n, fault
		}
		n++
	}
	return n, nil
}

// step reads one byte of framing.
func (b *Body) step(c byte) *Fault {
	switch {
	case b.state == chunkSize:
		return b.sizeByte(c)
	case b.state >= trailerStart:
		return b.trailerByte(c)
	case b.state == chunkDataCR:
		return b.want(c, '\r', chunkDataLF, FaultChunkEnd)
	case b.state == chunkDataLF:
		b.digits, b.line = 0, 0
		return b.want(c, '\n', chunkSize, FaultChunkEnd)
	case b.state == chunkSizeLF && b.left == 0:
		return b.want(c, '\n', trailerStart, FaultBareCR)
	case b.state == chunkSizeLF:
		return b.want(c, '\n', chunkData, FaultBareCR)
	}
	if b.line++; b.line > maxExtensions {
		return FaultChunkTooLong
	}
	return b.extensionByte(c)
}

// want goes on to a state if c is the byte that must come.
func (b *Body) want(c, wanted byte, next bodyState, otherwise *Fault) *Fault {
	if c != wanted {
		return otherwise
	}
	b.state = next
	return nil
}

// sizeByte reads the size, 1*HEXDIG, and what comes after it.
func (b *Body) sizeByte(c byte) *Fault {
	if classes[c]&inHex != 0 {
		if b.digits == maxSizeDigits || b.left > (1<<63-1)>>4 {
			return FaultChunkSize
		}
		b.digits++
		b.left = b.left<<4 | int64(hexDigit(c))
		return nil
	}
	if b.digits == 0 {
		return FaultChunkSize
	}
	return b.afterExtension(c, FaultChunkSize)
}

func hexDigit(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

// afterExtension reads what may come after the size and after each extension.
func (b *Body) afterExtension(c byte, otherwise *Fault) *Fault {
	switch c {
	case '\r':
		b.state = chunkSizeLF
	case ';':
		b.state = chunkName
	case ' ', '\t':
		b.state = chunkPad
	case '\n':
		return FaultBareLF
	default:
		return otherwise
	}
	return nil
}

// extensionByte reads extensions: RFC 9112 section 7.1.1,
// *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] ).
func (b *Body) extensionByte(c byte) *Fault {
	class, white := classes[c], c == ' ' || c == '\t'
	switch b.state {
	case chunkPad:
		if !white {
			return b.want(c, ';', chunkName, FaultChunkExtension)
		}
	case chunkName:
		if !white && class&inToken == 0 {
			return FaultChunkExtension
		} else if !white {
			b.state = chunkNameRest
		}
	case chunkNameRest:
		if class&inToken != 0 {
			return nil
		}
		return b.afterName(c)
	case chunkNamePad:
		if white {
			return nil
		} else if c == ';' || c == '=' {
			return b.afterName(c)
		}
		return FaultChunkExtension
	case chunkValue:
		if c == '"' {
			b.state = chunkQuoted
		} else if class&inToken != 0 {
			b.state = chunkValueRest
		} else if !white {
			return FaultChunkExtension
		}
	case chunkValueRest:
		if class&inToken == 0 {
			return b.afterExtension(c, FaultChunkExtension)
		}
	case chunkUnquoted:
		return b.afterExtension(c, FaultChunkExtension)
	default:
		return b.quotedByte(c)
	}
	return nil
}

// afterName reads what may come after the name of an extension.
func (b *Body) afterName(c byte) *Fault {
	switch c {
	case '=':
		b.state = chunkValue
	case ' ', '\t':
		b.state = chunkNamePad
	default:
		return b.afterExtension(c, FaultChunkExtension)
	}
	return nil
}

// quotedByte reads the inside of a quoted-string: RFC 9110 section 5.6.4.
func (b *Body) quotedByte(c byte) *Fault {
	switch {
	case classes[c]&inValue == 0:
		return FaultChunkExtension
	case b.state == chunkEscaped:
		b.state = chunkQuoted
	case c == '\\':
		b.state = chunkEscaped
	case c == '"':
		b.state = chunkUnquoted
	}
	return nil
}
