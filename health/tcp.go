package health

import (
	"context"
	"net/netip"
)

// tcpProber passes a backend that accepts a connection.
type tcpProber struct {
	endpoints *endpoints
}

// Probe implements [Prober].
func (p *tcpProber) Probe(ctx context.Context) error {
	return p.endpoints.each(ctx, func(ctx context.Context, to netip.AddrPort) error {
		_, release, err := dial(ctx, to)
		if err != nil {
			return err
		}
		release()
		return nil
	})
}
