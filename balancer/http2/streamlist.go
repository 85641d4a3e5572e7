package http2

// streamList is a queue of streams, of which each is in one at most.
type streamList struct{ first, last *Stream }

func (l *streamList) push(s *Stream) {
	s.prev, s.list = l.last, l
	if l.last != nil {
		l.last.next = s
	} else {
		l.first = s
	}
	l.last = s
}

// leave takes a stream out of the queue that it is in, if any.
func (s *Stream) leave() {
	l := s.list
	if l == nil {
		return
	}
	if s.prev != nil {
		s.prev.next = s.next
	} else {
		l.first = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	} else {
		l.last = s.prev
	}
	s.prev, s.next, s.list = nil, nil, nil
}
