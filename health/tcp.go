package health

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync"
)

// maxReceive is how long a text a TCP check can look for, in bytes.
const maxReceive = 4 << 10

// tcpProber passes a backend that accepts a connection, and answers what the
// check says with what it expects, if it does.
type tcpProber struct{ prober }

// Probe implements [Prober].
func (p *tcpProber) Probe(ctx context.Context) (int, error) {
	return 0, p.endpoints.each(ctx, func(ctx context.Context, to netip.AddrPort) error {
		conn, release, err := p.open(ctx, to)
		if err != nil {
			return err
		}
		defer release()
		if err := p.converse(ctx, conn); err != nil {
			return p.at(to, err)
		}
		return nil
	})
}

func (p *tcpProber) at(to netip.AddrPort, err error) error { return fmt.Errorf("at %s: %w", to, err) }

func (p *tcpProber) converse(ctx context.Context, conn io.ReadWriter) error {
	if len(p.send) > 0 {
		if _, err := conn.Write(p.send); err != nil {
			return plainError(ctx, err)
		}
	}
	if len(p.receive) == 0 {
		return nil
	}
	_, err := p.carryOn(ctx, conn, nil)
	return err
}

// say implements [direct].
func (p *tcpProber) say(to []byte, _ bool) []byte { return append(to, p.send...) }

// hear implements [direct].
func (p *tcpProber) hear(seen []byte, ended bool) (v verdict, is state) {
	switch {
	case bytes.Contains(seen, p.receive):
		return v, finished
	case ended:
		return verdict{err: p.missed()}, finished
	}
	return v, unfinished
}

func (p *tcpProber) missed() error {
	return fmt.Errorf("the connection was closed before the answer held %q", excerpt(p.check.Receive))
}

// carryOn implements [direct]: it awaits the answer.
func (p *tcpProber) carryOn(ctx context.Context, conn io.Reader, _ dialer) (reduction int, err error) {
	return 0, p.await(ctx, &io.LimitedReader{R: conn, N: maxWindow})
}

// chunks keeps what await reads into: twice the longest text, so that one
// across two reads is seen.
var chunks = sync.Pool{New: func() any { return new([2 * maxReceive]byte) }}

// await reads until it has met the text, which is when a server of a protocol
// without an end has answered.
func (p *tcpProber) await(ctx context.Context, input *io.LimitedReader) error {
	chunk := chunks.Get().(*[2 * maxReceive]byte)
	defer chunks.Put(chunk)
	held := 0
	for {
		n, err := input.Read(chunk[held:])
		seen := chunk[:held+n]
		if bytes.Contains(seen, p.receive) {
			return nil
		}
		held = copy(chunk[:], seen[max(0, len(seen)-len(p.receive)+1):])
		switch {
		case err == nil:
		case input.N <= 0:
			return fmt.Errorf("the first %d KiB of the answer do not hold %q", maxWindow>>10, excerpt(p.check.Receive))
		case errors.Is(err, io.EOF):
			return p.missed()
		default:
			return plainError(ctx, err)
		}
	}
}
