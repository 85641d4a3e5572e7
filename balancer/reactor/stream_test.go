package reactor

import (
	"bytes"
	"fmt"
	"io"
	"testing"
)

// stream is an endless sequence of bytes in which a lost, doubled or moved
// byte shows: its period is a prime that no buffer's size divides.
type stream struct{ at int64 }

var pattern = func() []byte {
	block, x := make([]byte, 65521), uint32(2463534242)
	for i := range block {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		block[i] = byte(x >> 11)
	}
	return block
}()

// fill writes the next bytes of the stream.
func (s *stream) fill(p []byte) {
	for len(p) > 0 {
		n := copy(p, pattern[s.at%int64(len(pattern)):])
		p, s.at = p[n:], s.at+int64(n)
	}
}

// check tells how p differs from the next bytes of the stream.
func (s *stream) check(p []byte) error {
	for len(p) > 0 {
		want := pattern[s.at%int64(len(pattern)):]
		n := min(len(p), len(want))
		if !bytes.Equal(p[:n], want[:n]) {
			return fmt.Errorf("the %d bytes from %d on differ from the stream", n, s.at)
		}
		p, s.at = p[n:], s.at+int64(n)
	}
	return nil
}

// Read implements [io.Reader].
func (s *stream) Read(p []byte) (int, error) {
	s.fill(p)
	return len(p), nil
}

// Write implements [io.Writer]; what differs is an error.
func (s *stream) Write(p []byte) (int, error) { return len(p), s.check(p) }

// sendStream writes n bytes of the stream.
func (p *peer) sendStream(n int64) {
	if _, err := io.CopyN(p, &stream{}, n); err != nil {
		p.t.Errorf("send %d bytes: %v", n, err)
	}
}

// expectStream reads n bytes of the stream.
func (p *peer) expectStream(n int64) {
	if got, err := io.CopyN(&stream{}, p, n); err != nil {
		p.t.Errorf("got %d of %d bytes: %v", got, n, err)
	}
}

func TestTheStreamShowsWhatIsLostDoubledOrMoved(t *testing.T) {
	whole := make([]byte, 200_000)
	(&stream{}).fill(whole)
	for name, c := range map[string]struct {
		broken []byte
		fault  bool
	}{
		"the stream itself":        {whole, false},
		"a byte lost":              {append(bytes.Clone(whole[:99_999]), whole[100_000:]...), true},
		"a byte doubled":           {append(bytes.Clone(whole[:100_000]), whole[99_999:]...), true},
		"a block of 64 KiB lost":   {append(bytes.Clone(whole[:100]), whole[100+64<<10:]...), true},
		"a block of 4 KiB doubled": {append(bytes.Clone(whole[:8192]), whole[4096:]...), true},
	} {
		t.Run(name, func(t *testing.T) {
			if err := (&stream{}).check(c.broken); (err != nil) != c.fault {
				t.Errorf("got %v", err)
			}
		})
	}
}
