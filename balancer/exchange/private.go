package exchange

import (
	"slices"

	"evenkeel/balancer/table"
)

// mostPrivate is how many idle connections to backends are kept for one client.
const mostPrivate = 16

// Private are the idle connections to backends that began with a PROXY header, all
// of one client's connection, whose later requests they may serve. The zero Private
// is empty. It belongs to the loop of that connection.
type Private struct {
	idle  []*Backend // the one used last at the end
	ended bool
}

// Sharing is a link whose client sends requests over others as well.
type Sharing interface {
	// Private are those of the client's connection.
	Private() *Private
}

// private are the connections that serve this client alone.
func (c *Client) private() *Private {
	if sharing, ok := c.link.(Sharing); ok {
		return sharing.Private()
	}
	if c.own == nil {
		c.own = new(Private)
	}
	return c.own
}

// take takes a connection to a backend out; nil if there is none.
func (p *Private) take(b *table.Backend) *Backend {
	for _, conn := range slices.Backward(p.idle) {
		if conn.target.Stats == b.Stats {
			conn.loop.forget(conn)
			return conn
		}
	}
	return nil
}

// add is false if there are enough, or nobody is left whom they are for.
func (p *Private) add(conn *Backend) bool {
	if p.ended || len(p.idle) >= mostPrivate {
		return false
	}
	p.idle = append(p.idle, conn)
	return true
}

func (p *Private) remove(conn *Backend) {
	if i := slices.Index(p.idle, conn); i >= 0 {
		p.idle = slices.Delete(p.idle, i, i+1)
	}
}

// End closes them. Those that are busy are closed when they no longer are.
func (p *Private) End() {
	p.ended = true
	for len(p.idle) > 0 {
		conn := p.idle[len(p.idle)-1]
		conn.loop.forget(conn)
		conn.link.Close()
	}
}
