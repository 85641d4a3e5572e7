package http2

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// peer writes what the other side sends, by a codec that is not ours.
type peer struct {
	bytes.Buffer
	framer  *http2.Framer
	encoder *hpack.Encoder
	block   bytes.Buffer
}

func newPeer() *peer {
	p := &peer{}
	p.framer = http2.NewFramer(&p.Buffer, nil)
	p.framer.AllowIllegalWrites = true
	p.encoder = hpack.NewEncoder(&p.block)
	return p
}

// send is one thing that a peer does. Writing to memory does not fail.
type send func(p *peer)

func greeting() send {
	return func(p *peer) { p.WriteString(preface); settingsFrame()(p) }
}

func settingsFrame(s ...http2.Setting) send {
	return func(p *peer) { p.framer.WriteSettings(s...) }
}

func settingsAck() send { return func(p *peer) { p.framer.WriteSettingsAck() } }

// fields encodes fields that are given as "name: value".
func (p *peer) fields(lines []string) []byte {
	p.block.Reset()
	for _, line := range lines {
		i := strings.Index(line[1:], ":") + 1
		p.encoder.WriteField(hpack.HeaderField{Name: line[:i], Value: strings.TrimPrefix(line[i+1:], " ")})
	}
	return bytes.Clone(p.block.Bytes())
}

func headers(id uint32, end bool, lines ...string) send {
	return func(p *peer) {
		p.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: p.fields(lines), EndStream: end, EndHeaders: true})
	}
}

// open is the beginning of a head that continues.
func open(id uint32, end bool, lines ...string) send {
	return func(p *peer) {
		p.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: p.fields(lines), EndStream: end})
	}
}

func continuation(id uint32, last bool, lines ...string) send {
	return func(p *peer) { p.framer.WriteContinuation(id, last, p.fields(lines)) }
}

// A request's pseudo-fields.
func request(method, path string, more ...string) []string {
	return append([]string{":method: " + method, ":scheme: http", ":path: " + path, ":authority: a"}, more...)
}

func get(id uint32, more ...string) send { return headers(id, true, request("GET", "/", more...)...) }
func post(id uint32, more ...string) send {
	return headers(id, false, request("POST", "/", more...)...)
}

func data(id uint32, text string, end bool) send {
	return func(p *peer) { p.framer.WriteData(id, end, []byte(text)) }
}

func padded(id uint32, text string, padding int, end bool) send {
	return func(p *peer) { p.framer.WriteDataPadded(id, end, []byte(text), make([]byte, padding)) }
}

func raw(kind frameType, flags uint8, id uint32, payload ...byte) send {
	return func(p *peer) { p.framer.WriteRawFrame(http2.FrameType(kind), http2.Flags(flags), id, payload) }
}

func update(id uint32, n uint32) send {
	return func(p *peer) { p.framer.WriteWindowUpdate(id, n) }
}

func reset(id uint32, code Code) send {
	return func(p *peer) { p.framer.WriteRSTStream(id, http2.ErrCode(code)) }
}

func goAway(last uint32, code Code, debug string) send {
	return func(p *peer) { p.framer.WriteGoAway(last, http2.ErrCode(code), []byte(debug)) }
}

// world is a connection whose events are written down.
type world struct {
	t       testing.TB
	conn    *Conn
	peer    *peer
	kept    []byte // what Receive did not consume
	log     []string
	merging *stream // the last entry of the log is content of this stream
	flushes int
	now     int64
	streams map[uint32]*stream
	// hooks of what an owner does; nil: nothing
	onRequest func(s *stream, head *Head, end bool)
	onData    func(s *stream, p []byte, end bool)
	onReset   func(s *stream)
	onDrained func(s *stream)
	decoder   *hpack.Decoder // of the output
	output    []string
}

// stream is the owner of one.
type stream struct {
	*Stream
	w  *world
	id uint32
}

func newWorld(t testing.TB, client bool, config Config) *world {
	w := &world{t: t, peer: newPeer(), streams: map[uint32]*stream{}, now: 1, decoder: hpack.NewDecoder(4096, nil)}
	if client {
		w.conn = NewClient(w, &config, &Pool{})
	} else {
		w.conn = NewServer(w, &config, &Pool{})
	}
	return w
}

// served is a server's connection that was greeted, the output so far read.
func served(t testing.TB, config Config) *world {
	w := newWorld(t, false, config)
	w.do(greeting(), settingsAck())
	w.drainOutput()
	w.output = nil
	return w
}

// dialled is a client's connection that was greeted.
func dialled(t testing.TB, config Config, settings ...http2.Setting) *world {
	w := newWorld(t, true, config)
	w.do(settingsFrame(settings...), settingsAck())
	w.drainOutput()
	w.output = nil
	return w
}

func (w *world) note(format string, args ...any) {
	w.merging = nil
	w.log = append(w.log, fmt.Sprintf(format, args...))
}

func (w *world) Flush() { w.flushes++ }

func (w *world) GoAway(last uint32, code Code, debug []byte) {
	w.note("GOAWAY %d %v %q", last, code, debug)
}

func describe(head *Head, end bool) string {
	var b strings.Builder
	if head.Status > 0 {
		fmt.Fprintf(&b, "%d", head.Status)
	} else {
		fmt.Fprintf(&b, "%s %s %s %s", head.Method, head.Scheme, head.Authority, head.Path)
	}
	if len(head.Protocol) > 0 {
		fmt.Fprintf(&b, " %s", head.Protocol)
	}
	if head.Length >= 0 {
		fmt.Fprintf(&b, " length=%d", head.Length)
	}
	if head.TooLarge {
		b.WriteString(" too large")
	} else {
		for _, f := range head.Fields {
			fmt.Fprintf(&b, " %s=%q", f.Name, f.Value)
		}
	}
	if end {
		b.WriteString(" end")
	}
	return b.String()
}

func (w *world) Request(s *Stream, head *Head, end bool) {
	o := &stream{Stream: s, w: w, id: s.ID()}
	s.Bind(o)
	w.streams[s.ID()] = o
	w.note("%d: %s", s.ID(), describe(head, end))
	if w.onRequest != nil {
		w.onRequest(o, head, end)
	}
}

// open begins a client's stream.
func (w *world) open(head *Head, end bool) *stream {
	w.t.Helper()
	o := &stream{w: w}
	o.Stream = w.conn.Open(o)
	if o.Stream == nil || !o.SendHead(head, end) {
		w.t.Fatal("no stream can be opened")
	}
	o.id = o.ID()
	w.streams[o.id] = o
	return o
}

func (s *stream) Head(head *Head, end bool) { s.w.note("%d: %s", s.id, describe(head, end)) }

// Data logs the content as if it had come in one piece.
func (s *stream) Data(p []byte, end bool) {
	w := s.w
	text := string(p)
	if w.merging == s {
		last := strings.TrimPrefix(w.log[len(w.log)-1], fmt.Sprintf("%d: data ", s.id))
		w.log = w.log[:len(w.log)-1]
		text = last + text
	}
	mark := ""
	if end {
		mark = " end"
	}
	w.note("%d: data %s%s", s.id, text, mark)
	if !end {
		w.merging = s
	}
	if w.onData != nil {
		w.onData(s, p, end)
	}
}

func (s *stream) Trailers(fields []Field) {
	text := ""
	for _, f := range fields {
		text += fmt.Sprintf(" %s=%q", f.Name, f.Value)
	}
	s.w.note("%d: trailers%s", s.id, text)
}

func (s *stream) Reset(e *StreamError) {
	text := e.Error()
	if e.Remote {
		text += " remote"
	}
	if e.Unprocessed {
		text += " unprocessed"
	}
	s.w.note("%d: reset %s", s.id, text)
	if s.w.onReset != nil {
		s.w.onReset(s)
	} else {
		s.Release()
	}
}

func (s *stream) Drained() {
	s.w.note("%d: drained", s.id)
	if s.w.onDrained != nil {
		s.w.onDrained(s)
	}
}

// do has the peer send, and gives it to the connection.
func (w *world) do(sends ...send) error {
	for _, s := range sends {
		s(w.peer)
	}
	p := append(w.kept, w.peer.Bytes()...)
	w.peer.Reset()
	n, err := w.conn.Receive(w.now, p)
	w.kept = bytes.Clone(p[n:])
	var fault *ConnError
	if err != nil && !errors.As(err, &fault) {
		w.t.Fatalf("Receive returns %v, which is no *ConnError", err)
	}
	return err
}

// write takes what is to be written, once.
func (w *world) write() []byte {
	out := bytes.Clone(w.conn.Output())
	w.conn.Written()
	return out
}

// drainOutput takes all that is to be written, and adds it to output.
func (w *world) drainOutput() {
	w.t.Helper()
	for {
		out := w.write()
		if len(out) == 0 {
			return
		}
		w.output = append(w.output, w.frames(out)...)
	}
}

// takeOutput returns the frames written since it was called last.
func (w *world) takeOutput() string {
	w.t.Helper()
	w.drainOutput()
	out := strings.Join(w.output, "\n")
	w.output = nil
	return out
}

func (w *world) takeLog() string {
	log := strings.Join(w.log, "\n")
	w.log = nil
	w.merging = nil
	return log
}

// frames describes output, read by a codec that is not ours.
func (w *world) frames(out []byte) (described []string) {
	w.t.Helper()
	out = bytes.TrimPrefix(out, []byte(preface))
	framer := http2.NewFramer(io.Discard, bytes.NewReader(out))
	framer.ReadMetaHeaders = w.decoder
	framer.MaxHeaderListSize = 1 << 20
	for {
		f, err := framer.ReadFrame()
		if err == io.EOF {
			return described
		}
		if err != nil {
			w.t.Fatalf("the output is malformed: %v (%v)\n%q", err, framer.ErrorDetail(), out)
		}
		described = append(described, describeFrame(f))
	}
}

func describeFrame(f http2.Frame) string {
	end := ""
	switch f := f.(type) {
	case *http2.DataFrame:
		if f.StreamEnded() {
			end = " end"
		}
		if len(f.Data()) > 40 {
			return fmt.Sprintf("DATA %d %d bytes%s", f.StreamID, len(f.Data()), end)
		}
		return fmt.Sprintf("DATA %d %s%s", f.StreamID, f.Data(), end)
	case *http2.MetaHeadersFrame:
		if f.StreamEnded() {
			end = " end"
		}
		text := fmt.Sprintf("HEADERS %d", f.StreamID)
		for _, field := range f.Fields {
			text += fmt.Sprintf(" %s=%s", field.Name, field.Value)
		}
		return text + end
	case *http2.RSTStreamFrame:
		return fmt.Sprintf("RST_STREAM %d %v", f.StreamID, f.ErrCode)
	case *http2.SettingsFrame:
		if f.IsAck() {
			return "SETTINGS ack"
		}
		text := "SETTINGS"
		f.ForeachSetting(func(s http2.Setting) error { text += fmt.Sprintf(" %v=%d", s.ID, s.Val); return nil })
		return text
	case *http2.PingFrame:
		if f.IsAck() {
			return fmt.Sprintf("PING ack %s", f.Data)
		}
		return fmt.Sprintf("PING %s", f.Data)
	case *http2.GoAwayFrame:
		return fmt.Sprintf("GOAWAY %d %v %s", f.LastStreamID, f.ErrCode, f.DebugData())
	case *http2.WindowUpdateFrame:
		return fmt.Sprintf("WINDOW_UPDATE %d %d", f.StreamID, f.Increment)
	}
	return fmt.Sprintf("%v", f)
}

// same compares texts of lines.
func same(t testing.TB, what, got string, want ...string) {
	t.Helper()
	if w := strings.Join(want, "\n"); got != w {
		t.Errorf("%s:\n%s\nwant:\n%s", what, got, w)
	}
}

// ok is the head of a response.
func ok(fields ...string) *Head { return &Head{Status: 200, Fields: lines(fields...)} }

// asked is the head of a request.
func asked(method, path string, fields ...string) *Head {
	return &Head{Method: []byte(method), Scheme: []byte("http"), Authority: []byte("a"), Path: []byte(path), Fields: lines(fields...)}
}

func lines(texts ...string) (fields []Field) {
	for _, text := range texts {
		name, value, _ := strings.Cut(text, ": ")
		fields = append(fields, Field{[]byte(name), []byte(value)})
	}
	return fields
}
