package fsm

import (
	"bytes"
	"slices"
	"strconv"
	"time"
)

// Nearly all of a large registry is backends, and nearly all of the time that its
// snapshot takes was in encoding/json: reading one, hashing what was read, and
// writing it. So their JSON, which stays what encoding/json makes of them, is
// written and read here by hand. What needs more than copying (an escape, letters
// beyond ASCII, a time that JSON cannot hold), and what few of them have (an
// override, a drain), is left to encoding/json.

// appendBackend appends what json.Marshal returns for the backend. ok is false if
// that is left to it; then what was appended is of no use.
func appendBackend(to []byte, b *Backend) (_ []byte, ok bool) {
	w := jsonWriter{to: append(to, '{')}
	if b.Pool != "" {
		w.text(`"pool":`, b.Pool)
		w.to = append(w.to, ',')
	}
	w.text(`"name":`, b.Name)
	w.labels(b.Labels)
	w.spec(&b.Spec)
	w.text(`,"status":{"health":`, string(b.Status.Health))
	w.count(`,"since":`, b.Status.Since)
	w.count(`,"generation":`, b.Status.Generation)
	w.votes(b.Status.Votes)
	w.amount(`,"reduction":`, b.Status.Reduction)
	w.some(`,"ramp":`, b.Status.Ramp)
	w.amount(`,"flaps":`, b.Status.Flaps)
	if b.Status.Held {
		w.to = append(w.to, `,"held":true`...)
	}
	w.some(`,"epoch":`, b.Status.Epoch)
	w.some(`,"flap_epoch":`, b.Status.FlapEpoch)
	w.odd = w.odd || b.Status.Override != nil || b.Status.Drain != nil
	w.text(`},"meta":{"uid":`, b.Meta.UID)
	w.count(`,"revision":`, b.Meta.Revision)
	w.time(`,"created":`, b.Meta.Created)
	w.time(`,"modified":`, b.Meta.Modified)
	w.text(`,"actor":`, b.Meta.Actor)
	return append(w.to, "}}"...), !w.odd
}

func (w *jsonWriter) spec(s *BackendSpec) {
	w.text(`,"spec":{"address":`, s.Address)
	w.number(`,"weight":`, int64(s.Weight))
	w.number(`,"tier":`, int64(s.Tier))
	w.someText(`,"zone":`, s.Zone)
	w.text(`,"admin_state":`, string(s.AdminState))
	w.span(`,"drain_timeout":`, s.DrainTimeout)
	w.span(`,"ttl":`, s.TTL)
	w.to = append(w.to, '}')
}

// span writes a time span that is left out when it is 0.
func (w *jsonWriter) span(key string, value Duration) {
	if value != 0 {
		w.text(key, value.String())
	}
}

// jsonWriter appends what follows a key.
type jsonWriter struct {
	to  []byte
	odd bool // something has to be left to encoding/json
}

func (w *jsonWriter) text(key, value string) {
	w.odd = w.odd || !isPlain(value)
	w.to = append(append(append(append(w.to, key...), '"'), value...), '"')
}

// isPlain tells whether encoding/json copies a text as it is.
func isPlain(text string) bool {
	for i := range len(text) {
		switch c := text[i]; {
		case c < ' ', c > '~', c == '"', c == '\\', c == '<', c == '>', c == '&':
			return false
		}
	}
	return true
}

func (w *jsonWriter) number(key string, value int64) {
	w.to = strconv.AppendInt(append(w.to, key...), value, 10)
}

func (w *jsonWriter) count(key string, value uint64) {
	w.to = strconv.AppendUint(append(w.to, key...), value, 10)
}

// some writes what is left out when it is 0.
func (w *jsonWriter) some(key string, value uint64) {
	if value != 0 {
		w.count(key, value)
	}
}

// amount is like some, for what is never below 0.
func (w *jsonWriter) amount(key string, value int) {
	w.odd = w.odd || value < 0
	w.some(key, uint64(value))
}

func (w *jsonWriter) time(key string, value time.Time) {
	if value.Location() != time.UTC || value.Year() < 0 || value.Year() > 9999 {
		w.odd = true
		return
	}
	w.to = append(value.AppendFormat(append(append(w.to, key...), '"'), time.RFC3339Nano), '"')
}

func (w *jsonWriter) labels(labels map[string]string) {
	if labels == nil {
		w.to = append(w.to, `,"labels":null`...)
		return
	}
	w.to = append(w.to, `,"labels":{`...)
	if len(labels) > 0 {
		keys := make([]string, 0, len(labels))
		for key := range labels {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		for i, key := range keys {
			if i > 0 {
				w.to = append(w.to, ',')
			}
			w.text("", key)
			w.text(":", labels[key])
		}
	}
	w.to = append(w.to, '}')
}

func (w *jsonWriter) votes(votes []Vote) {
	if votes == nil {
		w.to = append(w.to, `,"votes":null`...)
		return
	}
	w.to = append(w.to, `,"votes":[`...)
	for i := range votes {
		vote := &votes[i]
		if i > 0 {
			w.to = append(w.to, ',')
		}
		w.text(`{"observer":`, vote.Observer)
		w.text(`,"health":`, string(vote.Health))
		w.count(`,"generation":`, vote.Generation)
		if vote.Reason != "" {
			w.text(`,"reason":`, vote.Reason)
		}
		w.time(`,"at":`, vote.At)
		w.amount(`,"reduction":`, vote.Reduction)
		w.to = append(w.to, '}')
	}
	w.to = append(w.to, ']')
}

// backendReader reads what appendBackend writes. What many backends have in common
// is one string of all that it read in a row.
type backendReader struct {
	pool, observer, actor, zone, state, health, reason string

	again []byte

	// changes is where those of the line belong that comes next.
	changes *[]Change
}

// read returns the backend, or nil if its JSON is not to the byte what
// appendBackend writes: then encoding/json has to read it.
func (r *backendReader) read(text []byte) *Backend {
	c := jsonReader{rest: text}
	b := &Backend{}
	c.expect("{")
	if c.has(`"pool":`) {
		b.Pool = c.shared(&r.pool)
		c.expect(",")
	}
	c.expect(`"name":`)
	b.Name = c.text()
	c.expect(`,"labels":`)
	b.Labels = c.labels()
	r.readSpec(&c, &b.Spec)
	r.readStatus(&c, &b.Status)
	r.readMeta(&c, &b.Meta)
	c.expect("}")
	if c.odd || len(c.rest) > 0 {
		return nil
	}
	// Whatever c was not strict about shows here.
	again, ok := appendBackend(r.again[:0], b)
	r.again = again
	if !ok || !bytes.Equal(again, text) {
		return nil
	}
	return b
}

func (r *backendReader) readSpec(c *jsonReader, spec *BackendSpec) {
	c.expect(`,"spec":{"address":`)
	spec.Address = c.text()
	c.expect(`,"weight":`)
	spec.Weight = int(c.number())
	c.expect(`,"tier":`)
	spec.Tier = int(c.number())
	if c.has(`,"zone":`) {
		spec.Zone = c.shared(&r.zone)
	}
	c.expect(`,"admin_state":`)
	spec.AdminState = AdminState(c.shared(&r.state))
	spec.DrainTimeout = c.span(`,"drain_timeout":`)
	spec.TTL = c.span(`,"ttl":`)
	c.expect("}")
}

func (r *backendReader) readStatus(c *jsonReader, status *BackendStatus) {
	c.expect(`,"status":{"health":`)
	status.Health = Health(c.shared(&r.health))
	c.expect(`,"since":`)
	status.Since = c.number()
	c.expect(`,"generation":`)
	status.Generation = c.number()
	c.expect(`,"votes":`)
	switch {
	case c.has("null"):
	case c.has("[]"):
		status.Votes = []Vote{}
	default:
		for next := "["; c.has(next); next = "," {
			status.Votes = append(status.Votes, r.readVote(c))
		}
		c.expect("]")
	}
	status.Reduction = int(c.some(`,"reduction":`))
	status.Ramp = c.some(`,"ramp":`)
	status.Flaps = int(c.some(`,"flaps":`))
	status.Held = c.has(`,"held":true`)
	status.Epoch = c.some(`,"epoch":`)
	status.FlapEpoch = c.some(`,"flap_epoch":`)
	c.expect("}")
}

func (r *backendReader) readVote(c *jsonReader) (vote Vote) {
	c.expect(`{"observer":`)
	vote.Observer = c.shared(&r.observer)
	c.expect(`,"health":`)
	vote.Health = Health(c.shared(&r.health))
	c.expect(`,"generation":`)
	vote.Generation = c.number()
	if c.has(`,"reason":`) {
		vote.Reason = c.shared(&r.reason)
	}
	c.expect(`,"at":`)
	vote.At = c.time()
	vote.Reduction = int(c.some(`,"reduction":`))
	c.expect("}")
	return vote
}

func (r *backendReader) readMeta(c *jsonReader, meta *Meta) {
	c.expect(`,"meta":{"uid":`)
	meta.UID = c.text()
	c.expect(`,"revision":`)
	meta.Revision = c.number()
	c.expect(`,"created":`)
	meta.Created = c.time()
	c.expect(`,"modified":`)
	meta.Modified = c.time()
	c.expect(`,"actor":`)
	meta.Actor = c.shared(&r.actor)
	c.expect("}")
}

// jsonReader takes a JSON text apart whose form is known.
type jsonReader struct {
	rest []byte
	odd  bool // it is not of that form
}

func (c *jsonReader) has(text string) bool {
	if c.odd || len(c.rest) < len(text) || string(c.rest[:len(text)]) != text {
		return false
	}
	c.rest = c.rest[len(text):]
	return true
}

func (c *jsonReader) expect(text string) { c.odd = c.odd || !c.has(text) }

// raw is what stands between the next quotes.
func (c *jsonReader) raw() []byte {
	c.expect(`"`)
	end := bytes.IndexByte(c.rest, '"')
	if c.odd || end < 0 {
		c.odd = true
		return nil
	}
	text := c.rest[:end]
	c.rest = c.rest[end+1:]
	return text
}

func (c *jsonReader) text() string { return string(c.raw()) }

// shared is text that is likely to be the last one again.
func (c *jsonReader) shared(last *string) string {
	if raw := c.raw(); string(raw) != *last {
		*last = string(raw)
	}
	return *last
}

// number reads a natural number. One that is too large is another one when it is
// written again.
func (c *jsonReader) number() (value uint64) {
	digits := 0
	for digits < len(c.rest) && c.rest[digits] >= '0' && c.rest[digits] <= '9' {
		value = value*10 + uint64(c.rest[digits]-'0')
		digits++
	}
	c.odd = c.odd || digits == 0
	c.rest = c.rest[digits:]
	return value
}

// some reads a number that may not be there.
func (c *jsonReader) some(key string) uint64 {
	if c.has(key) {
		return c.number()
	}
	return 0
}

// span reads a time span that may not be there.
func (c *jsonReader) span(key string) (value Duration) {
	if c.has(key) {
		raw := c.raw()
		c.odd = c.odd || value.UnmarshalText(raw) != nil
	}
	return value
}

func (c *jsonReader) time() (value time.Time) {
	if raw := c.raw(); !c.odd {
		c.odd = value.UnmarshalText(raw) != nil
	}
	return value
}

func (c *jsonReader) labels() map[string]string {
	if c.has("null") {
		return nil
	}
	labels := map[string]string{}
	if c.has("{}") {
		return labels
	}
	for next := "{"; c.has(next); next = "," {
		key := c.text()
		c.expect(":")
		labels[key] = c.text()
	}
	c.expect("}")
	return labels
}
