package reactor

import "runtime/debug"

// safely gives a connection its turn such that a bug in a handler ends that
// connection and not the process.
func (l *Loop) safely(c *Conn, f func(*Conn)) {
	defer l.contain(c)
	f(c)
}

// contain is deferred. The connection is closed without a further word to its
// handler, which cannot be relied on; [Loop.OnPanic] is told.
func (l *Loop) contain(c *Conn) {
	fault := recover()
	if fault == nil {
		return
	}
	l.logger.Error("connection met a bug", "panic", fault, "stack", string(debug.Stack()))
	if !c.has(closed) {
		resetOnClose(c.fd)
		c.free()
	}
	if l.panicked != nil {
		l.panicked(c.handler)
	}
}

// call makes a posted call.
func (l *Loop) call(f func()) {
	defer func() {
		if fault := recover(); fault != nil {
			l.logger.Error("loop met a bug", "panic", fault, "stack", string(debug.Stack()))
		}
	}()
	f()
}
