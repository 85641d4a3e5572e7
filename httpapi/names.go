package httpapi

import (
	"crypto/rand"
	"strconv"
	"strings"

	"evenkeel/fsm"
)

// maxName is the length of a DNS label.
const maxName = 63

// addressName makes a readable name from a backend's address: 10-0-0-5-9000
// from 10.0.0.5:9000. It is "" when nothing readable is left.
func addressName(address string) string {
	host, port, ok := fsm.SplitAddress(address)
	if !ok {
		return ""
	}
	var name strings.Builder
	for _, c := range []byte(strings.ToLower(host)) {
		switch {
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
			name.WriteByte(c)
		case name.Len() > 0 && !strings.HasSuffix(name.String(), "-"):
			name.WriteByte('-')
		}
	}
	return joinName(name.String(), strconv.Itoa(int(port)))
}

// joinName returns base-tail, with as much of base as a name can hold.
func joinName(base, tail string) string {
	base = strings.TrimRight(base[:min(len(base), maxName-1-len(tail))], "-")
	if base == "" {
		return ""
	}
	return base + "-" + tail
}

// randomTail tells made-up names apart: 4 of 32 letters and digits, which
// need not be unique, because a name that is taken is drawn again.
func randomTail() string { return strings.ToLower(rand.Text()[:4]) }

// makeName makes up a name that the state does not hold.
func makeName(res *resource, s *fsm.State, pool string, spec fsm.Spec) string {
	name := res.readableName(spec)
	base := name
	if base == "" {
		base = string(res.kind)
		name = joinName(base, randomTail())
	}
	for range 8 {
		if s.Object(fsm.Ref{Kind: res.kind, Pool: pool, Name: name}) == nil {
			break
		}
		name = joinName(base, randomTail())
	}
	return name
}
