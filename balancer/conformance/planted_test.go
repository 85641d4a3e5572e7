package conformance

import (
	"io"
	"strings"
	"testing"
)

// recorded is a history without faults: a GET, a POST and a HEAD on one
// connection.
func recorded() *history {
	h := newHistory()
	get := &sentRequest{id: "1", method: "GET", target: "/1", fields: []string{"X: y"}, complete: true}
	post := &sentRequest{id: "2", method: "POST", target: "/2", body: "hello", complete: true}
	head := &sentRequest{id: "3", method: "HEAD", target: "/3", complete: true}
	c := h.addConn([]*sentRequest{get, post, head})
	for _, r := range c.requests {
		h.see(&seenRequest{id: r.id, method: r.method, target: r.target, fields: r.fields, body: r.body, whole: true})
		want := answerTo(r.method, r.id)
		c.got = append(c.got, gotResponse{id: r.id, status: want.status, body: want.body, whole: true})
	}
	return h
}

func TestTheModelCatchesPlantedBugs(t *testing.T) {
	if faults := recorded().check(); len(faults) > 0 {
		t.Fatalf("a history without faults has some: %q", faults)
	}
	for name, c := range map[string]struct {
		plant func(h *history, c *clientHistory)
		want  string
	}{
		"a POST that is delivered twice": {func(h *history, _ *clientHistory) { h.see(h.seen[1]) }, "POST 2 2 times"},
		"a POST of which a second backend saw a part": {func(h *history, _ *clientHistory) {
			h.see(&seenRequest{id: "2", method: "POST", target: "/2", body: "he"})
		}, "POST 2 2 times"},
		"a GET that is repeated for ever": {func(h *history, _ *clientHistory) {
			for range attempts {
				h.see(h.seen[0])
			}
		}, "saw 1 9 times"},
		"two responses that are swapped":  {func(_ *history, c *clientHistory) { c.got[0], c.got[1] = c.got[1], c.got[0] }, "it is that of 2"},
		"a response that is lost":         {func(_ *history, c *clientHistory) { c.got = c.got[:2] }, "without 1 of its responses"},
		"a response that comes twice":     {func(_ *history, c *clientHistory) { c.got = append(c.got, c.got[2]) }, "nobody asked for"},
		"a response whose body is cut":    {func(_ *history, c *clientHistory) { c.got[1].body = c.got[1].body[:1] }, "looks complete"},
		"a response of another body":      {func(_ *history, c *clientHistory) { c.got[1].body = "x" + c.got[1].body[1:] }, "body of"},
		"a response of another status":    {func(_ *history, c *clientHistory) { c.got[1].status = "299" }, "status 299"},
		"a response that no backend gave": {func(h *history, _ *clientHistory) { h.seen, h.times = h.seen[1:], map[string]int{} }, "no backend saw"},
		"a 1xx of another request": {func(_ *history, c *clientHistory) {
			c.got[1].interim = []string{"1"}
		}, "a 1xx before it is that of 1"},
		"a response behind a cut one":                     {func(_ *history, c *clientHistory) { c.got[0].whole = false }, "the last"},
		"a client that cannot connect":                    {func(_ *history, c *clientHistory) { c.refused = io.EOF }, "could not connect: EOF"},
		"a client that waits in vain":                     {func(_ *history, c *clientHistory) { c.stuck = true }, "waited in vain"},
		"a body that is cut and looks whole":              {func(h *history, _ *clientHistory) { h.seen[1].body = "hell" }, "looks whole with 4 of 5"},
		"a body with other bytes":                         {func(h *history, _ *clientHistory) { h.seen[1].body = "jello" }, "body of 5 bytes differs"},
		"a body that is longer":                           {func(h *history, _ *clientHistory) { h.seen[1].body = "hello!" }, "body of 6 bytes differs"},
		"a request whose client never sent the end":       {func(h *history, _ *clientHistory) { h.sent["2"].complete = false }, "never sent the end"},
		"a request that nobody sent":                      {func(h *history, _ *clientHistory) { h.see(&seenRequest{id: "9", method: "GET"}) }, "no client sent it"},
		"a malformed request that is passed on":           {func(h *history, _ *clientHistory) { h.sent["1"].bad = true }, "it is malformed"},
		"a request that is malformed only at the backend": {func(h *history, _ *clientHistory) { h.seen[0].fault = "malformed: x" }, "malformed: x"},
		"a request of another method":                     {func(h *history, _ *clientHistory) { h.seen[0].method = "PUT" }, "PUT /1, sent as GET /1"},
		"a field that is lost":                            {func(h *history, _ *clientHistory) { h.seen[0].fields = nil }, "fields []"},
	} {
		t.Run(name, func(t *testing.T) {
			h := recorded()
			c.plant(h, h.conns[0])
			if faults := strings.Join(h.check(), "\n"); !strings.Contains(faults, c.want) {
				t.Errorf("the check says %q, want %q in it", faults, c.want)
			}
		})
	}
}
