package conformance

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// history is what all clients and backends of one round of the model saw. Its
// methods may be called from any goroutine; check when none does any more.
type history struct {
	mu    sync.Mutex // guards the fields below
	sent  map[string]*sentRequest
	conns []*clientHistory
	seen  []*seenRequest
	times map[string]int // how often a backend has seen a request, by id
}

// sentRequest is a request as a client framed it.
type sentRequest struct {
	id, method, target string
	fields             []string // those that must pass, in order
	body               string
	bad                bool // it is malformed: no backend may see it
	complete           bool // its last byte was sent
}

// seenRequest is a request as a backend read it.
type seenRequest struct {
	id, method, target string
	fields             []string
	body               string
	whole              bool
	fault              string // what was malformed
}

// clientHistory is one client's connection.
type clientHistory struct {
	requests []*sentRequest
	got      []gotResponse
	left     bool   // the client went away by itself
	stuck    bool   // something it waited for never came
	refused  error  // why it could not connect
	ending   string // FIN or RST
}

// gotResponse is a response as a client read it.
type gotResponse struct {
	id      string // "" for one of Evenkeel's own
	status  string
	body    string
	whole   bool
	fault   string // what was malformed
	closing bool   // the connection ends behind it
	interim []string
}

func newHistory() *history {
	return &history{sent: map[string]*sentRequest{}, times: map[string]int{}}
}

func (h *history) addConn(requests []*sentRequest) *clientHistory {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := &clientHistory{requests: requests}
	h.conns = append(h.conns, c)
	for _, r := range requests {
		h.sent[r.id] = r
	}
	return c
}

// see notes that a backend has read a request's head; it returns how often that
// has happened before.
func (h *history) see(r *seenRequest) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seen = append(h.seen, r)
	h.times[r.id]++
	return h.times[r.id] - 1
}

// safe tells whether a request may be sent again (RFC 9110 section 9.2.2).
func safe(method string) bool {
	return slices.Contains([]string{"GET", "HEAD", "OPTIONS", "PUT", "DELETE"}, method)
}

// attempts is how many backends the model's pool may try for one request.
const attempts = 8

// check returns everything that must not have happened.
func (h *history) check() (faults []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.seen {
		if fault := h.checkSeen(r); fault != "" {
			faults = append(faults, fmt.Sprintf("backend saw %s %s: %s", r.method, r.id, fault))
		}
	}
	for id, times := range h.times {
		r := h.sent[id]
		if r != nil && times > 1 && !safe(r.method) {
			faults = append(faults, fmt.Sprintf("backends saw %s %s %d times", r.method, id, times))
		}
		if times > attempts {
			faults = append(faults, fmt.Sprintf("backends saw %s %d times", id, times))
		}
	}
	for _, c := range h.conns {
		faults = append(faults, h.checkConn(c)...)
	}
	return faults
}

// checkSeen compares a request at a backend with what the client framed.
func (h *history) checkSeen(r *seenRequest) string {
	sent := h.sent[r.id]
	switch {
	case r.fault != "":
		return r.fault
	case sent == nil:
		return "no client sent it"
	case sent.bad:
		return "it is malformed, and was passed on"
	case r.method != sent.method || r.target != sent.target:
		return fmt.Sprintf("%s %s, sent as %s %s", r.method, r.target, sent.method, sent.target)
	case !slices.Equal(r.fields, sent.fields):
		return fmt.Sprintf("fields %q, sent as %q", r.fields, sent.fields)
	case !strings.HasPrefix(sent.body, r.body):
		return diffBytes("body", r.body, sent.body)
	case r.whole && len(r.body) < len(sent.body):
		return fmt.Sprintf("it looks whole with %d of %d bytes", len(r.body), len(sent.body))
	case r.whole && !sent.complete:
		return "it looks whole, and its client never sent the end"
	}
	return ""
}

// checkConn compares a client's responses with its requests, in order.
func (h *history) checkConn(c *clientHistory) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if c.refused != nil {
		fault("a client could not connect: %v", c.refused)
		return faults
	}
	if c.stuck {
		fault("a client waited in vain behind %d of %d responses", len(c.got), len(c.requests))
	}
	for i, got := range c.got {
		if i > 0 && (c.got[i-1].closing || !c.got[i-1].whole) {
			fault("a response came behind one that was the last: %+v", got)
		}
		if i >= len(c.requests) {
			// A client that went away within a request may be told so.
			if got.id != "" || !c.left {
				fault("a response came that nobody asked for: %+v", got)
			}
			continue
		}
		if text := h.checkGot(c.requests[i], got); text != "" {
			fault("response to %s %s: %s", c.requests[i].method, c.requests[i].id, text)
		}
	}
	last := len(c.got) - 1
	ended := last >= 0 && (c.got[last].closing || !c.got[last].whole)
	if missing := len(c.requests) - len(c.got); missing > 0 && !c.left && !c.stuck && !ended {
		fault("a connection ended by %s without %d of its responses, and nothing told so; %s", c.ending, missing, h.story(c))
	}
	return faults
}

// story tells what happened on a connection.
func (h *history) story(c *clientHistory) string {
	var b strings.Builder
	for _, r := range c.requests {
		fmt.Fprintf(&b, "\n    %s %s with %d bytes (malformed: %v, sent whole: %v), which backends saw %d times", r.method, r.id, len(r.body), r.bad, r.complete, h.times[r.id])
	}
	for _, got := range c.got {
		fmt.Fprintf(&b, "\n    response %s %q with %d bytes (whole: %v)", got.status, got.id, len(got.body), got.whole)
	}
	return b.String()
}

// checkGot compares a response with the request that it answers.
func (h *history) checkGot(r *sentRequest, got gotResponse) string {
	switch {
	case got.fault != "":
		return got.fault
	case got.id == "":
		if got.whole && got.status < "400" {
			return fmt.Sprintf("an own response of status %s", got.status)
		}
		return ""
	case got.id != r.id:
		return "it is that of " + got.id
	case h.times[r.id] == 0:
		return "no backend saw the request"
	}
	for _, id := range got.interim {
		if id != r.id {
			return "a 1xx before it is that of " + id
		}
	}
	want := answerTo(r.method, r.id)
	switch {
	case got.status != want.status:
		return fmt.Sprintf("status %s, the backend sent %s", got.status, want.status)
	case !strings.HasPrefix(want.body, got.body):
		return diffBytes("body", got.body, want.body)
	case got.whole && len(got.body) < len(want.body):
		return fmt.Sprintf("it looks complete with %d of %d bytes", len(got.body), len(want.body))
	}
	return ""
}

// needless names what failed in a round in which nothing had to fail.
func (h *history) needless() (faults []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.conns {
		for i, got := range c.got {
			if got.id == "" || !got.whole {
				r := c.requests[i]
				faults = append(faults, fmt.Sprintf("%s %s, which backends saw %d times, got %s %q", r.method, r.id, h.times[r.id], got.status, clip(got.body)))
			}
		}
	}
	return faults
}
