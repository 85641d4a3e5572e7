package exchange

// Bug cleans up after a handler that met a bug of Evenkeel's, whose connection
// is closed already: its request ends, and so do both its connections.
func (l *Loop) Bug(handler any) {
	var x *exchange
	switch side := handler.(type) {
	case *Client:
		side.counters().Panics.Add(1)
		side.gone()
		x = side.x
	case *Forward:
		side.bug()
	case *forwardBackend:
		(*Forward)(side).bug()
	case *Announced:
		side.counters().Panics.Add(1)
		side.gone()
	case *mirror:
		side.end()
	case *Backend:
		l.forget(side)
		if x = side.x; x != nil {
			x.client.counters().Panics.Add(1)
		}
	}
	if x == nil {
		return
	}
	c := x.client
	x.unqueue()
	x.dropBackend()
	x.end()
	c.gone()
	c.link.Abort(resetInternal)
}
