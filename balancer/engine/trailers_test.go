package engine

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestTrailersBehindContentOfAKnownLength: HTTP/1.1 has no place for them, so that
// either they pass or the length does. Who announces them (RFC 9110 section 6.6.2), or
// says that it takes them (section 10.1.4), has them; from others no length is taken
// for what is rarely there, and the content is whole all the same.
func TestTrailersBehindContentOfAKnownLength(t *testing.T) {
	for name, c := range map[string]struct {
		length, announces, takes bool
		passes                   bool
	}{
		"of an unknown length":              {false, false, false, true},
		"of a known length":                 {true, false, false, false},
		"of a known length, announced":      {true, true, false, true},
		"of a known length, to who takes":   {true, false, true, true},
		"of an unknown length, to who does": {false, false, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			ways(t, func(t *testing.T, start starter) {
				if strings.HasSuffix(t.Name(), "h2_to_h1") && c.length {
					t.Skip("HTTP/1.1 has no such response")
				}
				w, client := start(func(out http.ResponseWriter, in *http.Request) {
					if c.length {
						out.Header().Set("Content-Length", "2")
					}
					if c.announces {
						out.Header().Set("Trailer", "X-Down")
					}
					io.WriteString(out, "hi")
					_ = http.NewResponseController(out).Flush()
					out.Header().Set(http.TrailerPrefix+"X-Down", "b")
				}, nil)
				for range 3 { // the connections go on
					get := request(t, "GET", w.url("/"), nil)
					if c.takes {
						get.Header.Set("Te", "trailers")
						get.Header.Set("Connection", "te")
						if strings.Contains(t.Name(), "h2_to") {
							get.Header.Del("Connection")
						}
					}
					response, body := do(t, client, get)
					want := ""
					if c.passes {
						want = "b"
					}
					if got := response.Trailer.Get("X-Down"); body != "hi" || got != want {
						t.Errorf("%q, trailers %v, want %q", body, response.Trailer, want)
					}
					if length := int64(2); c.length && !c.passes && response.ContentLength != length {
						t.Errorf("the length is %d", response.ContentLength)
					}
				}
			})
		})
	}
}
