//go:build linux

package main

import (
	"crypto/tls"
	"errors"
	"io"
	"runtime/debug"
)

// layers is what is between a connection's socket and its requests: nothing,
// TLS, HTTP/2, or both.
type layers struct {
	secured *secured
	session *session
}

// prepareLayers makes what all connections have in common.
func (g *generator) prepareLayers() error {
	scheme := "http"
	if g.job.TLS != nil {
		scheme = "https"
	}
	if g.job.Streams > 0 {
		g.protocol, g.asked = "h2", g.job.Shape.asked(g.pattern, scheme)
	}
	if g.job.Streams > 0 || g.job.TLS != nil {
		debug.SetGCPercent(800) // they allocate too much to do without collections
	}
	if g.job.TLS == nil {
		return nil
	}
	cache := &oneSession{keeps: g.job.TLS.Resume}
	g.tls = g.job.TLS.config(g.protocol, cache)
	g.plain = make([]byte, 64<<10)
	if g.job.TLS.Resume {
		return fetchTicket(g.job.TLS.TicketFrom, g.tls, cache, g.request)
	}
	return nil
}

// addLayers completes a connection that was opened.
func (g *generator) addLayers(slot int) {
	c := &g.conns[slot]
	if g.job.TLS != nil {
		c.secured = newSecured(g.tls)
	}
	if g.job.Streams > 0 {
		c.session = newSession(g)
	}
}

// askThrough sends the first requests through the layers.
func (g *generator) askThrough(slot int) {
	c := &g.conns[slot]
	if c.session != nil {
		for range g.job.Streams {
			c.session.ask(c.begun)
		}
		g.sendSession(slot)
	} else if !g.encrypt(slot, g.request) {
		return
	}
	if c.secured != nil && c.secured.next != nil {
		g.decrypt(slot, nil) // the client's hello
	}
}

// encrypt sends through TLS. It returns false when the connection has failed.
func (g *generator) encrypt(slot int, data []byte) bool {
	s := g.conns[slot].secured
	if err := s.send(data); err != nil {
		g.fail(slot, "encrypt: %v", err)
		return false
	}
	return g.push(slot)
}

// push sends what TLS has written.
func (g *generator) push(slot int) bool {
	c := &g.conns[slot]
	generation, out := c.generation, c.secured.wire.out
	if len(out) == 0 {
		return true
	}
	c.unsent = append(c.unsent, out...)
	c.secured.wire.out = out[:0]
	g.flush(slot)
	return g.conns[slot].generation == generation
}

// sendSession sends the frames that have gathered.
func (g *generator) sendSession(slot int) bool {
	c := &g.conns[slot]
	out := c.session.out
	if len(out) == 0 {
		return true
	}
	c.session.out = out[:0]
	if c.secured != nil {
		return g.encrypt(slot, out)
	}
	generation := c.generation
	c.unsent = append(c.unsent, out...)
	g.flush(slot)
	return g.conns[slot].generation == generation
}

// takeThrough takes in what a socket gave, through the layers.
func (g *generator) takeThrough(slot int, data []byte) {
	if g.conns[slot].secured != nil {
		g.decrypt(slot, data)
		return
	}
	if g.takeFrames(slot, data) {
		g.sendSession(slot)
	}
}

// takeFrames returns false when the connection has failed.
func (g *generator) takeFrames(slot int, data []byte) bool {
	if err := g.conns[slot].session.take(data, g.conns[slot].session); err != nil {
		g.fail(slot, "%v", err)
		return false
	}
	return true
}

// decrypt goes on with the handshake, or with answers.
func (g *generator) decrypt(slot int, data []byte) {
	c := &g.conns[slot]
	s, generation := c.secured, c.generation
	shaking := s.next != nil
	established, err := s.feed(data)
	if err == nil && shaking && established {
		err = g.job.TLS.check(s.conn.ConnectionState(), g.protocol)
	}
	if err != nil {
		g.fail(slot, "TLS: %v", err)
		return
	}
	if shaking && established && !g.encrypt(slot, s.early) {
		return
	}
	if established && !g.readPlain(slot, s.conn, generation) {
		return
	}
	if c.session != nil && established && !g.sendSession(slot) {
		return
	}
	g.push(slot)
}

// readPlain takes in all that has come. It returns false when the connection
// is another one then.
func (g *generator) readPlain(slot int, conn *tls.Conn, generation int32) bool {
	for {
		n, err := conn.Read(g.plain)
		if n > 0 {
			if g.conns[slot].session != nil {
				g.takeFrames(slot, g.plain[:n])
			} else {
				g.take(slot, g.plain[:n])
			}
		}
		switch {
		case g.conns[slot].generation != generation:
			return false
		case err == nil:
		case errors.Is(err, errDry):
			return true
		case errors.Is(err, io.EOF):
			g.ended(slot)
			return g.conns[slot].generation == generation
		default:
			g.fail(slot, "decrypt the answer: %v", err)
			return false
		}
	}
}
