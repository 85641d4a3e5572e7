package peer

import (
	"net"
	"net/netip"
	"sync"
)

// maxHandshakes bounds the handshakes of incoming connections at one time.
const maxHandshakes = 256

// lobby is where incoming connections wait until they are known. It is
// bounded: one that enters a full lobby puts out another, of the address that
// has the most in it; there the oldest that said nothing yet, or the oldest if
// all spoke. A peer speaks at once and is through in milliseconds, so a flood
// puts itself out.
type lobby struct {
	max   int
	tasks sync.WaitGroup

	mu      sync.Mutex // guards what follows
	waiting []*visitor // the oldest first
	byAddr  map[netip.Addr]int
	closed  bool
}

// visitor is one connection in the lobby.
type visitor struct {
	raw     *budgetConn
	addr    netip.Addr
	evicted bool          // guarded by the lobby's mutex
	done    chan struct{} // closed when the handshake has ended, whichever way
}

func newLobby(most int) *lobby {
	return &lobby{max: most, byAddr: map[netip.Addr]int{}}
}

// enter takes a connection in and runs handle in a goroutine. It waits for the
// end of the handshake that it puts out, so there are never more than the
// bound. Once the lobby is closed it closes the connection instead.
func (l *lobby) enter(raw *budgetConn, handle func(*visitor)) error {
	v := &visitor{raw: raw, addr: addrOf(raw), done: make(chan struct{})}
	out, closed := l.admit(v)
	if closed {
		return raw.Close()
	}
	l.tasks.Go(func() {
		handle(v)
		l.leave(v)
	})
	if out == nil {
		return nil
	}
	err := ignoreClosed(out.raw.Close())
	<-out.done
	return err
}

// admit notes the visitor and returns whom to put out for it, if anyone.
func (l *lobby) admit(v *visitor) (out *visitor, closed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, true
	}
	if len(l.waiting) >= l.max {
		out = l.mostCrowding()
		out.evicted = true
		l.forget(out)
	}
	l.waiting = append(l.waiting, v)
	l.byAddr[v.addr]++
	return out, false
}

// mostCrowding returns whom to put out of a full lobby.
func (l *lobby) mostCrowding() *visitor {
	most := l.waiting[0]
	for _, v := range l.waiting {
		if l.byAddr[v.addr] > l.byAddr[most.addr] {
			most = v
		}
	}
	for _, v := range l.waiting {
		if v.addr == most.addr && !v.raw.spoke() {
			return v
		}
	}
	return most
}

func (l *lobby) leave(v *visitor) {
	l.mu.Lock()
	l.forget(v)
	l.mu.Unlock()
	close(v.done)
}

// forget strikes the visitor off, if it is still listed.
func (l *lobby) forget(v *visitor) {
	for i, w := range l.waiting {
		if w != v {
			continue
		}
		l.waiting = append(l.waiting[:i], l.waiting[i+1:]...)
		if l.byAddr[v.addr]--; l.byAddr[v.addr] == 0 {
			delete(l.byAddr, v.addr)
		}
		return
	}
}

// wasEvicted tells whether the visitor was put out for another.
func (l *lobby) wasEvicted(v *visitor) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return v.evicted
}

func (l *lobby) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.waiting)
}

// close puts everyone out and lets nobody else in.
func (l *lobby) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, v := range l.waiting {
		_ = v.raw.Close() // its handshake ends with an error, which is what is wanted
	}
}

// wait returns when the last handshake has ended. It is called after the last
// enter.
func (l *lobby) wait() { l.tasks.Wait() }

// addrOf returns the peer's IP address.
func addrOf(raw net.Conn) netip.Addr {
	addr, ok := raw.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return addr.AddrPort().Addr().Unmap()
}
