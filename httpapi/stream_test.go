package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"evenkeel/fsm"
)

// pipe is the sender's half of a connection that may be cut off or clogged. Its
// reader takes what was written so far.
type pipe struct {
	header http.Header
	mu     sync.Mutex // guards what follows
	status int
	text   []byte
	limit  int // bytes after which it is cut; 0: never
	// clogged, while not closed, has writes wait for their deadline.
	clogged  chan struct{}
	pace     time.Duration // that a write takes, within synctest
	deadline time.Time
	changed  chan struct{} // closed by the next write
	// enough, if not nil, is asked after each write whether that is enough.
	enough func(text []byte) bool
}

var errCut = errors.New("the connection was cut")

func newPipe() *pipe {
	p := &pipe{header: http.Header{}, clogged: make(chan struct{}), changed: make(chan struct{})}
	close(p.clogged)
	return p
}

func (p *pipe) Header() http.Header { return p.header }

func (p *pipe) WriteHeader(status int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status = status
}

func (p *pipe) Write(data []byte) (int, error) {
	p.mu.Lock()
	clogged, deadline, pace := p.clogged, p.deadline, p.pace
	p.mu.Unlock()
	time.Sleep(pace)
	select {
	case <-clogged:
	default:
		late := time.NewTimer(time.Until(deadline))
		defer late.Stop()
		select {
		case <-clogged:
		case <-late.C:
			return 0, os.ErrDeadlineExceeded
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.status == 0 {
		p.status = http.StatusOK
	}
	taken := len(data)
	if p.limit > 0 {
		taken = min(taken, p.limit-len(p.text))
	}
	p.text = append(p.text, data[:taken]...)
	close(p.changed)
	p.changed = make(chan struct{})
	if taken < len(data) || p.enough != nil && p.enough(p.text) {
		return taken, errCut
	}
	return taken, nil
}

func (p *pipe) FlushError() error { return nil }

func (p *pipe) SetWriteDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deadline = t
	return nil
}

func (p *pipe) SetReadDeadline(time.Time) error { return nil }

// clog has writes wait until the returned function is called.
func (p *pipe) clog() (unclog func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	clogged := make(chan struct{})
	p.clogged = clogged
	return func() { close(clogged) }
}

func (p *pipe) read() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(p.text)
}

// until waits until what was written satisfies the condition.
func (p *pipe) until(t testing.TB, what string, ok func(text string) bool) string {
	t.Helper()
	deadline := time.NewTimer(2 * time.Minute)
	defer deadline.Stop()
	for {
		p.mu.Lock()
		text, changed := string(p.text), p.changed
		p.mu.Unlock()
		if ok(text) {
			return text
		}
		select {
		case <-changed:
		case <-deadline.C:
			t.Fatalf("the stream does not have %s, it ends with %q", what, text[max(0, len(text)-1000):])
		}
	}
}

// untilHas waits for an event that has the part, and returns the events that
// came whole: one may come in more than one write.
func (p *pipe) untilHas(t testing.TB, part string) string {
	t.Helper()
	text := p.until(t, strconv.Quote(part), func(text string) bool { return strings.Contains(wholeEvents(text), part) })
	return wholeEvents(text)
}

func wholeEvents(text string) string {
	const blank = "\n\n"
	end := strings.LastIndex(text, blank)
	if end < 0 {
		return ""
	}
	return text[:end+len(blank)]
}

// open begins a request whose answer goes into the pipe. It ends with the test, or
// with close, which waits for it.
func (c *client) open(path string, p *pipe, header ...string) (closed func()) {
	ctx, cancel := context.WithCancel(c.Context())
	request := httptest.NewRequest("GET", "http://localhost:7070"+path, nil).WithContext(ctx)
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.handler.ServeHTTP(p, request)
	}()
	closed = func() {
		cancel()
		<-done
	}
	c.Cleanup(closed)
	return closed
}

// message is one server-sent event, or an id alone.
type message struct {
	id, name string
	data     string
}

// told is the data of put and delete.
type told struct {
	Revision           uint64
	Time               time.Time
	Actor, Reason      string
	Kind               fsm.Kind
	Pool, Name, Action string
	ByFilter           bool `json:"by_filter"`
	Snapshot           bool
	Object             map[string]any
}

// messages reads a stream as HTML, section 9.2, has it: what is not complete is
// nothing.
func messages(t testing.TB, text string) []message {
	t.Helper()
	var all []message
	var m message
	for {
		line, rest, complete := strings.Cut(text, "\n")
		if !complete {
			return all
		}
		text = rest
		if line == "" {
			if m != (message{}) {
				all = append(all, m)
			}
			m = message{}
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "":
		case "id":
			m.id = value
		case "event":
			m.name = value
		case "data":
			m.data += value
		default:
			t.Fatalf("line %q is nothing that a stream has", line)
		}
	}
}

func (m message) told(t testing.TB) told {
	t.Helper()
	var e told
	if err := json.NewDecoder(bytes.NewReader([]byte(m.data))).Decode(&e); err != nil {
		t.Fatalf("decode %q: %v", m.data, err)
	}
	return e
}

// putBackend applies a put of a backend whose address follows from its name.
func (f *fakeCluster) putBackend(t testing.TB, pool, name string, weight int, labels map[string]string) {
	t.Helper()
	f.apply(t, backendPut(pool, name, weight, labels))
}

func backendPut(pool, name string, weight int, labels map[string]string) fsm.Put {
	spec := fsm.BackendSpec{Address: name + "." + pool + ":1"}
	spec.SetDefaults()
	spec.Weight = weight
	return fsm.Put{Pool: pool, Name: name, Labels: labels, Spec: spec}
}
