package tlslink

// mayBegin tells whether an accepted connection's handshake may begin now. Else
// it waits for its turn, and reads nothing until then.
func (l *Link) mayBegin() bool {
	s := l.loop
	switch {
	case l.has(waiting):
		return false
	case l.has(turned):
		l.clear(turned)
	case len(s.queue) > 0 || s.begun >= s.bounds.Begins || !s.hasRoom():
		l.set(waiting)
		l.lower.Pause()
		s.queue = append(s.queue, l)
		s.plan()
		return false
	}
	s.begun++
	s.plan()
	return true
}

// turn lets a handshake that has waited begin with what it has to read.
func (l *Link) turn() {
	if l.has(closed) {
		return
	}
	l.clear(waiting)
	l.set(turned)
	l.lower.Resume()
}

// hasRoom tells whether one more handshake may be at work. One whose peer lets it
// wait for long is given up for it, so that silence does not keep others away.
func (s *Loop) hasRoom() bool {
	if s.working < s.bounds.Handshakes {
		return true
	}
	if stalled := s.first; stalled != nil && !stalled.has(signing) && s.world.Now()-stalled.work.since >= int64(s.bounds.Stalled) {
		stalled.refuse(errStalled)
	}
	return s.working < s.bounds.Handshakes
}

// list notes that a handshake waits for its peer from now on.
func (s *Loop) list(l *Link) {
	h := l.work
	h.since, h.before, h.after = s.world.Now(), s.last, nil
	if s.last != nil {
		s.last.work.after = l
	} else {
		s.first = l
	}
	s.last = l
}

// unlist notes that it does not, if it did.
func (s *Loop) unlist(l *Link) {
	h := l.work
	if h.before == nil && s.first != l {
		return
	}
	if h.before != nil {
		h.before.work.after = h.after
	} else {
		s.first = h.after
	}
	if h.after != nil {
		h.after.work.before = h.before
	} else {
		s.last = h.before
	}
	h.before, h.after = nil, nil
}
