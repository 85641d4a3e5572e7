package reactor

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// script is the handler of tests. It does what its functions say, and holds
// the loop to the contract of [Handler] meanwhile.
//
// Without a function, data is consumed, the end of the input and errors close
// the connection, and what only happens when asked for is a fault.
type script struct {
	t      testing.TB
	c      *Conn
	inside []bool

	connected func()
	data      func(p []byte) int
	eof       func()
	drained   func()
	failed    func(err error)
	expired   func()
	relayed   func(n int64, err error)

	over, atEnd bool
	kept        []byte // what Data has to begin with
	relaying    bool   // then what was kept goes elsewhere
}

func (w *world) script(c *Conn) *script { return &script{t: w.t, c: c, inside: w.inside} }

// enter checks what holds for every call; what it returns is deferred.
func (s *script) enter(call string) func() {
	loop := s.c.Loop().Index()
	if s.inside[loop] {
		s.t.Errorf("%s is called from inside another call", call)
	}
	if s.over {
		s.t.Errorf("%s is called after the connection's end", call)
	}
	s.inside[loop] = true
	return func() { s.inside[loop] = false }
}

func (s *script) close()              { s.over = true; s.c.Close() }
func (s *script) abort()              { s.over = true; s.c.Abort() }
func (s *script) write(p string) bool { return s.c.Write([]byte(p), false) }

func (s *script) relay(to *Conn, n int64) {
	s.relaying, s.kept = true, nil
	s.c.Relay(to, n)
}

func (s *script) Connected() {
	defer s.enter("Connected")()
	if s.connected != nil {
		s.connected()
	}
}

func (s *script) Data(p []byte) int {
	defer s.enter("Data")()
	switch {
	case s.relaying:
		s.t.Error("Data is called during a relay")
	case s.atEnd && len(p) > len(s.kept):
		s.t.Error("Data brings more after EOF")
	case len(p) == 0:
		s.t.Error("Data is called without data")
	case !bytes.HasPrefix(p, s.kept):
		s.t.Errorf("Data begins with %.20q, want what was not consumed: %.20q", p, s.kept)
	}
	n := len(p)
	if s.data != nil {
		n = s.data(p)
	}
	s.kept = append(s.kept[:0], p[n:]...)
	return n
}

func (s *script) EOF() {
	defer s.enter("EOF")()
	if s.atEnd {
		s.t.Error("EOF is called twice")
	}
	s.atEnd = true
	if s.eof != nil {
		s.eof()
		return
	}
	s.close()
}

func (s *script) Drained() {
	defer s.enter("Drained")()
	if n := s.c.Buffered(); n != 0 {
		s.t.Errorf("Drained is called with %d bytes buffered", n)
	}
	if s.drained != nil {
		s.drained()
	}
}

func (s *script) Failed(err error) {
	defer s.enter("Failed")()
	s.over = true
	if err == nil {
		s.t.Error("Failed is called without an error")
	}
	if s.failed != nil {
		s.failed(err)
	}
}

func (s *script) Expired() {
	defer s.enter("Expired")()
	if s.expired == nil {
		s.t.Error("Expired is called without a deadline")
		return
	}
	s.expired()
}

func (s *script) Relayed(n int64, err error) {
	defer s.enter("Relayed")()
	if s.relayed == nil {
		s.t.Error("Relayed is called without a relay")
		return
	}
	s.relayed(n, err)
}

// faults is a TB that keeps what it is told.
type faults struct {
	testing.TB
	told []string
}

func (f *faults) Error(args ...any) { f.told = append(f.told, fmt.Sprint(args...)) }
func (f *faults) Errorf(format string, args ...any) {
	f.told = append(f.told, fmt.Sprintf(format, args...))
}

func TestTheScriptCatchesABrokenContract(t *testing.T) {
	for name, c := range map[string]struct {
		broken func(s *script)
		want   string
	}{
		"a call inside of a call": {
			broken: func(s *script) { s.data = func([]byte) int { s.Drained(); return 1 }; s.Data([]byte("a")) },
			want:   "Drained is called from inside another call",
		},
		"a call after Failed": {
			broken: func(s *script) { s.Failed(fmt.Errorf("reset")); s.Drained() },
			want:   "Drained is called after the connection's end",
		},
		"a call after Abort": {
			broken: func(s *script) { s.over = true; s.Data([]byte("a")) },
			want:   "Data is called after the connection's end",
		},
		"a second EOF": {
			broken: func(s *script) { s.eof = func() {}; s.EOF(); s.EOF() },
			want:   "EOF is called twice",
		},
		"data after EOF": {
			broken: func(s *script) { s.eof = func() {}; s.EOF(); s.Data([]byte("a")) },
			want:   "Data brings more after EOF",
		},
		"lost bytes": {
			broken: func(s *script) { s.data = func([]byte) int { return 1 }; s.Data([]byte("abc")); s.Data([]byte("cd")) },
			want:   "want what was not consumed",
		},
		"a deadline that nobody set": {
			broken: func(s *script) { s.Expired() },
			want:   "Expired is called without a deadline",
		},
		"a relay that nobody began": {
			broken: func(s *script) { s.Relayed(1, nil) },
			want:   "Relayed is called without a relay",
		},
		"nothing at all": {
			broken: func(s *script) { s.Data(nil) },
			want:   "Data is called without data",
		},
	} {
		t.Run(name, func(t *testing.T) {
			told := &faults{TB: t}
			s := &script{t: told, c: &Conn{loop: new(Loop)}, inside: make([]bool, 1)}
			c.broken(s)
			if !slices.ContainsFunc(told.told, func(fault string) bool { return strings.Contains(fault, c.want) }) {
				t.Errorf("told %q, want %q", told.told, c.want)
			}
		})
	}
}
