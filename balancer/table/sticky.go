package table

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"evenkeel/fsm"
)

// sticky makes clients return to the backend that answered them first, by a
// cookie. Its value is a keyed hash (HMAC-SHA256, RFC 2104) of the identities of
// pool and backend: it tells nothing to who reads it, nobody without the key can
// make one, and every node with the key knows it. The tokens of all backends
// are computed when the table is built, so that a request costs one look into a
// map; where that finds nothing there is no secret to be timed.
type sticky struct {
	spec   fsm.Sticky
	byName map[string]*Backend // token → backend
	tokens map[*Backend]string
}

// tokenBytes is how much of a hash is used: 2^-96 to guess one.
const tokenBytes = 12

// compileSticky returns nil for a pool without a cookie. Tokens are made with
// the first key; those of the others are known too.
func compileSticky(spec *fsm.Sticky, p *Pool, keys [][]byte) *sticky {
	if spec == nil || len(keys) == 0 {
		return nil
	}
	s := &sticky{spec: *spec, byName: map[string]*Backend{}, tokens: map[*Backend]string{}}
	for n, key := range keys {
		for _, b := range p.backends {
			token := tokenOf(key, p.uid, b.UID)
			if n == 0 {
				s.tokens[b] = token
			}
			if b.mayReturn(p.panics) {
				s.byName[token] = b
			}
		}
	}
	return s
}

func tokenOf(key []byte, pool, backend string) string {
	hash := hmac.New(sha256.New, key)
	hash.Write([]byte(pool + "\x00" + backend))
	return base64.RawURLEncoding.EncodeToString(hash.Sum(nil)[:tokenBytes])
}

// named returns the backend that a request's cookie names, or nil.
func (s *sticky) named(q *Choice) *Backend {
	token, ok := cookieOf(q.Fields, s.spec.Cookie)
	if !ok {
		return nil
	}
	b := s.byName[token]
	if b == nil || q.Tried.Has(b) {
		return nil
	}
	return b
}

// IsSticky tells whether responses may have to set a cookie.
func (p *Pool) IsSticky() bool { return p.sticky != nil }

// IsNamed tells whether the request's cookie names the backend already.
func (p *Pool) IsNamed(q *Choice, b *Backend) bool {
	if p.sticky == nil {
		return true
	}
	token, ok := cookieOf(q.Fields, p.sticky.spec.Cookie)
	return ok && token == p.sticky.tokens[b]
}

// AppendCookie appends the field line that makes a client return to the backend
// (RFC 6265 section 4.1).
func (p *Pool) AppendCookie(dst []byte, b *Backend) []byte {
	s := p.sticky
	if s == nil || s.tokens[b] == "" {
		return dst
	}
	dst = append(dst, "Set-Cookie: "...)
	dst = append(dst, s.spec.Cookie...)
	dst = append(dst, '=')
	dst = append(dst, s.tokens[b]...)
	dst = append(dst, "; Path=/"...)
	if age := time.Duration(s.spec.MaxAge); age > 0 {
		dst = append(dst, "; Max-Age="...)
		dst = strconv.AppendInt(dst, int64(age/time.Second), 10)
	}
	if s.spec.HTTPOnly {
		dst = append(dst, "; HttpOnly"...)
	}
	if s.spec.Secure {
		dst = append(dst, "; Secure"...)
	}
	switch s.spec.SameSite {
	case "lax":
		dst = append(dst, "; SameSite=Lax"...)
	case "strict":
		dst = append(dst, "; SameSite=Strict"...)
	case "none":
		dst = append(dst, "; SameSite=None"...)
	}
	return append(dst, "\r\n"...)
}

// Cookie is the value of the Set-Cookie field that [Pool.AppendCookie] writes.
func (p *Pool) Cookie(b *Backend) string {
	line := string(p.AppendCookie(nil, b))
	return strings.TrimSuffix(strings.TrimPrefix(line, "Set-Cookie: "), "\r\n")
}
