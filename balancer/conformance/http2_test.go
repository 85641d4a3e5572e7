package conformance

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// TestExchangesOverHTTP2 runs the rows whose request is a plain GET or HEAD with
// a client of HTTP/2: what a response means must not depend on how the client
// gets it. What is about the connection of HTTP/1 has no place there.
func TestExchangesOverHTTP2(t *testing.T) {
	w := theWorld(t)
	rows := 0
	for _, group := range table() {
		for _, r := range group.rows() {
			if !overHTTP2(&r) {
				continue
			}
			rows++
			t.Run(group.name+"/"+r.name, func(t *testing.T) {
				t.Parallel()
				s := <-w.slots[r.on]
				defer func() { w.slots[r.on] <- s }()
				x := newExchange(&r, plan{})
				s.current.Store(x)
				m := x.getOverHTTP2(s.address)
				s.current.Store(nil)
				close(x.over)
				x.endConns()
				if m == nil {
					t.Errorf("RFC %s: %q", r.rfc, x.faults)
				} else if diff := diffOverHTTP2(&r.gets[0], m); diff != "" {
					t.Errorf("RFC %s: %s: %s", r.rfc, diff, m)
				}
				if !w.awaitQuiet(s) {
					t.Error("the request is still under way")
				}
			})
		}
	}
	if rows < 100 {
		t.Errorf("%d rows", rows)
	}
	t.Logf("%d rows", rows)
}

// overHTTP2 tells whether a row means the same over HTTP/2.
func overHTTP2(r *row) bool {
	plainRequest := r.in == get() || r.in == request("HEAD / HTTP/1.1")
	return plainRequest && len(r.gets) == 1 && len(r.backend) == 1 && len(r.client) == 0 && !r.deaf && !r.lazy && !r.anyMore && r.end != tunnel && r.sent == 0 && r.on == plain
}

// getOverHTTP2 sends the row's request and reads what comes; nil if nothing did.
func (x *exchange) getOverHTTP2(address string) *message {
	conn, err := dial(address)
	if err != nil {
		x.fail("client: %v", err)
		return nil
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(3 * patience)); err != nil {
		x.fail("client: %v", err)
		return nil
	}
	var out, block bytes.Buffer
	out.WriteString(http2.ClientPreface)
	framer := http2.NewFramer(&out, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	encoder := hpack.NewEncoder(&block)
	method, _, _ := strings.Cut(x.row.in, " ")
	for _, field := range [][2]string{{":method", method}, {":scheme", "http"}, {":authority", "a.test"}, {":path", "/"}} {
		err = encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
	}
	if err == nil {
		err = framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30})
	}
	if err == nil {
		err = framer.WriteWindowUpdate(0, 1<<30)
	}
	if err == nil {
		err = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true})
	}
	if err == nil {
		_, err = io.Copy(conn, &out)
	}
	if err != nil {
		x.fail("client: %v", err)
		return nil
	}
	m, err := readOverHTTP2(framer)
	if err != nil {
		x.fail("client: %v", err)
	}
	return m
}

// readOverHTTP2 reads a response to its end, nil with an error if it has none.
func readOverHTTP2(framer *http2.Framer) (*message, error) {
	var m *message
	var interim []*message
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return nil, err
		}
		ended := false
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			ended = f.StreamEnded()
			fields := []string{}
			for _, field := range f.RegularFields() {
				if strings.ToLower(field.Name) != field.Name || slices.Contains(hopFields, field.Name) {
					return nil, fmt.Errorf("field %q", field.Name)
				}
				fields = append(fields, field.Name+": "+field.Value)
			}
			head := &message{start: "HTTP/1.1 " + f.PseudoValue("status") + " ", fields: fields}
			switch {
			case m != nil:
				m.trailers = fields
			case strings.HasPrefix(f.PseudoValue("status"), "1"):
				interim = append(interim, head)
			default:
				m = head
				m.interim = interim
			}
		case *http2.DataFrame:
			ended = f.StreamEnded()
			if m == nil {
				return nil, fmt.Errorf("DATA before the head")
			}
			m.body = append(m.body, f.Data()...)
		case *http2.RSTStreamFrame:
			if m == nil {
				return nil, fmt.Errorf("reset with %v", f.ErrCode)
			}
			m.end = "reset with " + f.ErrCode.String()
			return m, nil
		case *http2.GoAwayFrame:
			return nil, fmt.Errorf("%v", f)
		}
		if ended {
			m.whole = true
			return m, nil
		}
	}
}

var hopFields = []string{"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"}

// diffOverHTTP2 says how a response differs from what is wanted, or "".
func diffOverHTTP2(want *got, m *message) string {
	if (want.cut == unless502 || want.or502) && m.whole && m.status() == "502" {
		return ""
	}
	switch {
	case !slices.Contains(strings.Split(want.status, "|"), m.status()):
		return fmt.Sprintf("status %s, want %s", m.status(), want.status)
	case !m.whole && want.cut == never:
		return "it is cut"
	case m.whole && (want.cut == always || want.cut == unless502):
		return "it looks complete, and is not"
	case want.own:
		return ""
	}
	if !want.anyInterim {
		inLower := make([]string, len(want.interim))
		for i, text := range want.interim {
			inLower[i] = lowerNames(text)
		}
		if diff := diffInterim(inLower, m.interim); diff != "" {
			return diff
		}
	}
	return diffRest(m, want.body, lowerNames(want.trailers))
}

// lowerNames makes the names of field lines lower case.
func lowerNames(text string) string {
	all := strings.Split(text, "\n")
	for i, line := range all {
		if name, value, ok := strings.Cut(line, ":"); ok {
			all[i] = strings.ToLower(name) + ":" + value
		}
	}
	return strings.Join(all, "\n")
}
