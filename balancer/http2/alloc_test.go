package http2

import "testing"

// TestNothingIsAllocatedPerRequest serves requests whose fields are in the
// table of the connection, with content that may have to wait for its window,
// and trailers.
func TestNothingIsAllocatedPerRequest(t *testing.T) {
	for name, size := range map[string]int{"small": 1000, "beyond the window": 120000} {
		t.Run(name, func(t *testing.T) {
			e := newExchange(t, size)
			for range 50 {
				e.run(t)
			}
			if allocations := testing.AllocsPerRun(200, func() { e.run(t) }); allocations != 0 {
				t.Errorf("%v allocations", allocations)
			}
		})
	}
}

// exchange is a server that gets the same request again and again, from a peer
// that puts its fields into the table, as clients do.
type exchange struct {
	server   *Conn
	peer     *peer
	head     []byte // of all requests but the first
	response Head
	trailers []Field
	body     []byte
	updates  []byte
	sent     int
	id       uint32
}

func newExchange(t testing.TB, size int) *exchange {
	e := &exchange{peer: newPeer(), body: make([]byte, size), id: 1}
	e.server = NewServer(e, &Config{}, &Pool{})
	e.response = Head{Status: 200, Fields: lines("Content-Type: text/plain", "Date: today", "X-Other: value")}
	e.trailers = lines("grpc-status: 0")
	greeting()(e.peer)
	get(1, "user-agent: test", "accept: */*", "cookie: a=b")(e.peer)
	e.updates = append(header{kind: frameWindowUpdate, length: 4}.appendTo(nil), 0, 0, 0xff, 0xff)
	e.updates = append(header{kind: frameWindowUpdate, length: 4}.appendTo(e.updates), 0, 0, 0xff, 0xff)
	e.receive(t, e.peer.Bytes())
	e.finish(t)
	e.peer.Reset()
	get(0, "user-agent: test", "accept: */*", "cookie: a=b")(e.peer)
	e.head = e.peer.Bytes()
	return e
}

func (e *exchange) Flush() {}

func (e *exchange) GoAway(uint32, Code, []byte) {}

func (e *exchange) Request(s *Stream, head *Head, end bool) {
	s.Bind(e)
	s.SendHead(&e.response, false)
	s.SendData(e.body, false)
	s.SendTrailers(e.trailers)
	s.Release()
}

func (e *exchange) Head(*Head, bool)   {}
func (e *exchange) Data([]byte, bool)  {}
func (e *exchange) Trailers([]Field)   {}
func (e *exchange) Reset(*StreamError) {}
func (e *exchange) Drained()           {}

// run does one request.
func (e *exchange) run(t testing.TB) {
	e.id += 2
	h := parseHeader(e.head)
	h.id = e.id
	h.put(e.head)
	e.receive(t, e.head)
	e.finish(t)
}

func (e *exchange) receive(t testing.TB, p []byte) {
	if n, err := e.server.Receive(1, p); err != nil || n != len(p) {
		t.Fatalf("%d of %d bytes received, %v", n, len(p), err)
	}
}

// finish takes the response, and gives windows until all of it is there.
func (e *exchange) finish(t testing.TB) {
	h := header{kind: frameWindowUpdate, length: 4, id: e.id}
	h.put(e.updates[frameHeader+4:])
	for range 1000 {
		out := e.server.Output()
		e.sent += len(out)
		e.server.Written()
		switch {
		case len(out) > 0:
		case e.server.Streams() == 0 && e.server.allowed > firstWindow:
			return
		default:
			e.receive(t, e.updates)
		}
	}
	t.Fatal("the response does not end")
}

func TestNothingIsAllocatedPerRequestOfAClient(t *testing.T) {
	e := newAsking(t)
	for range 50 {
		e.run(t)
	}
	if allocations := testing.AllocsPerRun(200, func() { e.run(t) }); allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}

// asking is a client that sends the same request again and again.
type asking struct {
	client    *Conn
	request   Head
	body      []byte
	response  []byte // HEADERS and DATA
	dataAt    int
	stream    *Stream
	got, ends int
}

func newAsking(t testing.TB) *asking {
	e := &asking{body: make([]byte, 100)}
	e.client = NewClient(e, &Config{}, &Pool{})
	e.request = *asked("POST", "/path", "User-Agent: test", "X-Other: value", "Content-Length: 100")
	p := newPeer()
	settingsFrame()(p)
	e.receive(t, p.Bytes())
	for range 2 { // the first one puts its fields into the table
		p.Reset()
		status(1, false, 200, "content-type: text/plain", "date: today")(p)
		e.dataAt = p.Len()
		data(1, string(make([]byte, 1000)), true)(p)
		e.response = append([]byte(nil), p.Bytes()...)
		if e.client.nextOut == 1 {
			e.run(t)
		}
	}
	return e
}

func (e *asking) receive(t testing.TB, p []byte) {
	if n, err := e.client.Receive(1, p); err != nil || n != len(p) {
		t.Fatalf("%d of %d bytes received, %v", n, len(p), err)
	}
}

func (e *asking) Flush()                       {}
func (e *asking) GoAway(uint32, Code, []byte)  {}
func (e *asking) Request(*Stream, *Head, bool) {}
func (e *asking) Head(head *Head, end bool)    { e.got += len(head.Fields) }
func (e *asking) Trailers([]Field)             {}
func (e *asking) Reset(*StreamError)           {}
func (e *asking) Drained()                     {}

func (e *asking) Data(p []byte, end bool) {
	e.stream.Consumed(len(p))
	if end {
		e.ends++
		e.stream.Release()
	}
}

// run does one request.
func (e *asking) run(t testing.TB) {
	e.stream = e.client.Open(e)
	id := e.client.nextOut
	e.stream.SendHead(&e.request, false)
	e.stream.SendData(e.body, true)
	e.client.Output()
	e.client.Written()
	for _, at := range []int{0, e.dataAt} {
		h := parseHeader(e.response[at:])
		h.id = id
		h.put(e.response[at:])
	}
	ends := e.ends
	e.receive(t, e.response)
	if e.ends != ends+1 || e.client.Streams() != 0 {
		t.Fatal("the response does not end")
	}
	if e.client.allowed < 1<<20 {
		e.client.allowed = 1 << 30 // as if the peer had given it
	}
}
