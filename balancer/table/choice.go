package table

import (
	"net/netip"
	"strings"

	"evenkeel/balancer/picker"
	"evenkeel/fsm"
)

// Choice is what a pool chooses a backend by. It is used again and again: one
// belongs to each goroutine or loop that picks.
type Choice struct {
	// Tried are the backends that this request was sent to in vain; nil means
	// none.
	Tried *Tried
	// Loop is whose state is used, see [picker.Request], and Now a monotonic time
	// in nanoseconds.
	Loop int
	Now  int64
	// Client is who sent the request; Path and Query are as it sent them, Fields
	// its header fields. They are only looked at if the pool hashes them, or is
	// sticky.
	Client      netip.Addr
	Path, Query string
	Fields      FieldSource
	// Key is the hash of what the pool hashes. The first Pick fills it in and sets
	// Keyed; with that set, further picks for the request need nothing of it.
	Key   uint64
	Keyed bool

	request picker.Request // of which nothing is kept, but its memory
	avoided picker.Set     // likewise
}

// key returns the hash of what the pool hashes of a request. One without such a
// key is hashed by its client's address, which has says.
func (h *hashing) key(q *Choice) (key uint64, has bool) {
	switch h.on {
	case fsm.HashPath:
		return picker.HashString(q.Path), true
	case fsm.HashQuery:
		for rest := q.Query; rest != ""; {
			var pair string
			pair, rest, _ = strings.Cut(rest, "&")
			if name, value, _ := strings.Cut(pair, "="); pair != "" && equalDecoded(name, h.name) {
				return hashDecoded(value), true
			}
		}
	case fsm.HashHeader:
		if q.Fields != nil {
			if value, ok := q.Fields.FieldText(h.name, 0); ok {
				return picker.HashString(value), true
			}
		}
	case fsm.HashCookie:
		if value, ok := cookieOf(q.Fields, h.name); ok {
			return picker.HashString(value), true
		}
	}
	return SourceKey(q.Client), h.on == fsm.HashSource
}

// SourceKey is the [Choice.Key] of a client's address. It is that of a connection
// that is forwarded, which has nothing else to be hashed.
func SourceKey(client netip.Addr) uint64 {
	address := client.As16()
	return picker.HashBytes(address[:])
}

// hashDecoded hashes what a part of a query stands for, so that all spellings of
// a value are the same key. It allocates for values that are escaped and longer
// than the room here.
func hashDecoded(value string) uint64 {
	if !strings.ContainsAny(value, "%+") {
		return picker.HashString(value)
	}
	var room [256]byte
	plain := room[:0]
	for at := 0; at < len(value); {
		c, n := nextDecoded(value[at:])
		plain = append(plain, c)
		at += n
	}
	return picker.HashBytes(plain)
}

// hashing is what a pool hashes.
type hashing struct{ on, name string }

// cookieOf returns the value of the first cookie of that name (RFC 6265 section
// 5.4).
func cookieOf(fields FieldSource, name string) (string, bool) {
	if fields == nil {
		return "", false
	}
	for i := 0; ; i++ {
		line, ok := fields.FieldText("Cookie", i)
		if !ok {
			return "", false
		}
		for line != "" {
			var pair string
			pair, line, _ = strings.Cut(line, ";")
			if n, value, ok := strings.Cut(strings.TrimSpace(pair), "="); ok && n == name {
				return strings.Trim(value, `"`), true
			}
		}
	}
}
