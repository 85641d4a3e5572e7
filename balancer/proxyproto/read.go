package proxyproto

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net"
	"net/netip"

	"github.com/pires/go-proxyproto"
)

const (
	// MaxV1 is the longest header of version 1, its end included: section 2.1.
	MaxV1 = 107
	// MaxV2 is the longest header of version 2 that is read. Sections 2.2.x give
	// it room for the certificate of a TLS client; nothing else is of that size.
	MaxV2 = prefixV2 + 4096

	prefixV2 = 16
)

// Header is what a proxy says of a connection.
type Header struct {
	// Source is the client, Destination whom it meant. Both are IPv4 or both IPv6;
	// IPv4 mapped to IPv6 is IPv4. They are the zero address if the proxy names
	// nobody (LOCAL, UNKNOWN, UNSPEC, Unix sockets): then the connection's own
	// ends count.
	Source, Destination netip.AddrPort
}

// IsLocal tells whether the connection's own ends count.
func (h Header) IsLocal() bool { return !h.Source.IsValid() }

// Errors of Read that do not come from the text of a header.
var (
	// ErrNone means that the bytes are of something else.
	ErrNone = errors.New("the connection does not begin with a PROXY header")
	// ErrTooLong means that a header is longer than allowed.
	ErrTooLong = errors.New("the PROXY header is too long")
	// ErrDatagram means that a header is about datagrams, which none come here.
	ErrDatagram = errors.New("the PROXY header is about datagrams")
	// ErrControl means that a header of version 1 has a control character in it.
	ErrControl = errors.New("the PROXY header has a control character in it")
	// ErrChecksum means that a header is not as it was sent.
	ErrChecksum = errors.New("the PROXY header does not have its checksum")
)

// Read reads the header that p, all bytes since the connection's beginning,
// begins with, and returns how long it is. That is 0 without an error as long as
// there may be a header and bytes of it are missing. After an error the
// connection is of no use: what its peer meant is not known.
func Read(p []byte) (h Header, n int, err error) {
	v1, v2 := begins(p, proxyproto.SIGV1), begins(p, proxyproto.SIGV2)
	if !v1 && !v2 {
		return Header{}, 0, ErrNone
	}
	if v1 {
		n, err = lineEnd(p)
	} else {
		n, err = blockEnd(p)
	}
	if n == 0 || err != nil {
		return Header{}, 0, err
	}
	if h, err = parse(p[:n]); err != nil {
		return Header{}, 0, fmt.Errorf("read PROXY header: %w", err)
	}
	return h, n, nil
}

// begins tells whether p may become something that begins with the signature.
func begins(p, signature []byte) bool {
	n := min(len(p), len(signature))
	return bytes.Equal(p[:n], signature[:n])
}

// lineEnd returns where a header of version 1 ends, 0 if that has not come.
func lineEnd(p []byte) (int, error) {
	line := p[:min(len(p), MaxV1)]
	end := bytes.IndexByte(line, '\n') + 1
	if end == 0 && len(line) == MaxV1 {
		return 0, ErrTooLong
	}
	text := line
	if end > 0 {
		text = bytes.TrimSuffix(line[:end], []byte("\r\n"))
	} else {
		text = bytes.TrimSuffix(line, []byte("\r"))
	}
	if bytes.ContainsFunc(text, func(r rune) bool { return r < ' ' || r >= 0x7f }) {
		return 0, ErrControl
	}
	return end, nil
}

// blockEnd returns where a header of version 2 ends, 0 if that has not come.
func blockEnd(p []byte) (int, error) {
	if len(p) < prefixV2 {
		return 0, nil
	}
	n := prefixV2 + int(binary.BigEndian.Uint16(p[prefixV2-2:]))
	switch {
	case n > MaxV2:
		return 0, ErrTooLong
	case len(p) < n:
		return 0, nil
	}
	return n, nil
}

// The two bytes of version 2 behind the signature.
const (
	atCommand, atFamily = 12, 13
	commandProxy        = 0x21
	familyUnspecified   = 0
)

// parse reads a header that is whole.
func parse(p []byte) (Header, error) {
	v2 := p[0] == proxyproto.SIGV2[0]
	if v2 && p[atCommand] == commandProxy && p[atFamily] == familyUnspecified {
		return Header{}, nil // section 2.2: free to be accepted, and as UNKNOWN of version 1
	}
	header, err := proxyproto.Read(bufio.NewReaderSize(bytes.NewReader(p), len(p)))
	switch {
	case err != nil:
		return Header{}, err
	case header.Command.IsLocal():
		return Header{}, nil // whatever is behind it: section 2.2
	case header.TransportProtocol.IsDatagram():
		return Header{}, ErrDatagram
	}
	if v2 {
		if err := checkExtensions(header, p); err != nil {
			return Header{}, err
		}
	}
	source, destination, ok := header.TCPAddrs()
	if !ok { // Unix sockets
		return Header{}, nil
	}
	return Header{Source: addrPort(source), Destination: addrPort(destination)}, nil
}

func addrPort(a *net.TCPAddr) netip.AddrPort {
	at := a.AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

// checkExtensions refuses extensions that are cut, and a checksum that does not
// fit (section 2.2.4).
func checkExtensions(header *proxyproto.Header, p []byte) error {
	extensions, err := header.TLVs()
	if err != nil {
		return err
	}
	at := prefixV2 + addressBytes(header.TransportProtocol)
	for _, extension := range extensions {
		// The library gives no-op padding without its content.
		size := int(binary.BigEndian.Uint16(p[at+1:]))
		at += 3
		if extension.Type == proxyproto.PP2_TYPE_CRC32C && !hasChecksum(p, at, size) {
			return ErrChecksum
		}
		at += size
	}
	return nil
}

func addressBytes(of proxyproto.AddressFamilyAndProtocol) int {
	switch {
	case of.IsIPv4():
		return 12
	case of.IsIPv6():
		return 36
	}
	return 216
}

// hasChecksum tells whether the size bytes at that place are the checksum of p
// with zeroes in their place.
func hasChecksum(p []byte, at, size int) bool {
	const want = 4
	if size != want {
		return false
	}
	table := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Update(0, table, p[:at])
	sum = crc32.Update(sum, table, make([]byte, want))
	sum = crc32.Update(sum, table, p[at+want:])
	return binary.BigEndian.Uint32(p[at:]) == sum
}
