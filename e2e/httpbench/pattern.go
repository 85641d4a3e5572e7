package main

import (
	"bytes"
	"hash/crc32"
)

// patternPeriod is the length after which the bytes of a body repeat. It is a
// prime, so that a piece that is lost, doubled or moved by a balancer's buffer
// size never looks right.
const patternPeriod = 65521

// readSize is the most that the load generator reads at once.
const readSize = 256 << 10

// pattern holds the bytes that every body is made of, as many as one read can
// be compared with from any place of the period.
type pattern []byte

func newPattern() pattern {
	p := make(pattern, patternPeriod+readSize)
	state := uint32(2463534242) // xorshift32 (Marsaglia 2003, "Xorshift RNGs")
	for i := range patternPeriod {
		state ^= state << 13
		state ^= state >> 17
		state ^= state << 5
		p[i] = byte(state)
	}
	copy(p[patternPeriod:], p)
	for n := 2 * patternPeriod; n < len(p); n += patternPeriod {
		copy(p[n:], p[:patternPeriod])
	}
	return p
}

// matches tells whether the piece, at most readSize long, is what a body has
// from that offset on.
func (p pattern) matches(piece []byte, offset int) bool {
	from := offset % patternPeriod
	return bytes.Equal(piece, p[from:from+len(piece)])
}

// body returns a body of that size.
func (p pattern) body(size int) []byte {
	body := make([]byte, size)
	for n := 0; n < size; n += patternPeriod {
		copy(body[n:], p[:patternPeriod])
	}
	return body
}

// checksum is what the load generator says of the bodies that it sends.
// Castagnoli's polynomial has an instruction of its own on amd64 and arm64.
func checksum(body []byte) uint32 {
	return crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli))
}
