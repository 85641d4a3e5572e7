package engine

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"

	"evenkeel/fsm"
)

type starter = func(handler http.HandlerFunc, tune func(*tuning)) (*world, *http.Client)

func TestRequestsAndResponsesPassOverHTTP2(t *testing.T) {
	ways(t, func(t *testing.T, start starter) {
		w, client := start(func(out http.ResponseWriter, in *http.Request) {
			body, err := io.ReadAll(in.Body)
			if err != nil {
				t.Errorf("the request's body: %v", err)
			}
			out.Header().Set("X-Seen", fmt.Sprintf("%s %s %s %d %q", in.Method, in.RequestURI, in.Host, in.ContentLength, in.Header.Get("X-A")))
			out.Header()["Set-Cookie"] = []string{"a=1", "b=2"}
			out.Header().Set("X-Cookie", fmt.Sprintf("%q", in.Header["Cookie"]))
			fmt.Fprintf(out, "got %q", body)
		}, nil)
		get := request(t, "GET", w.url("/a?b=c"), nil)
		get.Header.Set("X-A", "b")
		get.Header.Set("Cookie", "c=d; e=f")
		get.Host = "example.com"
		response, body := do(t, client, get)
		if response.StatusCode != 200 || body != `got ""` {
			t.Errorf("%d, %q", response.StatusCode, body)
		}
		if got := response.Header.Get("X-Seen"); got != `GET /a?b=c example.com 0 "b"` {
			t.Errorf("the backend saw %q", got)
		}
		if got := response.Header.Get("X-Cookie"); got != `["c=d; e=f"]` {
			t.Errorf("cookies %s", got)
		}
		if got := response.Header["Set-Cookie"]; len(got) != 2 {
			t.Errorf("cookies that were set: %q", got)
		}
		response, body = do(t, client, request(t, "POST", w.url("/known"), strings.NewReader("hello")))
		if body != `got "hello"` || !strings.Contains(response.Header.Get("X-Seen"), " 5 ") {
			t.Errorf("%q, %q", body, response.Header.Get("X-Seen"))
		}
		response, body = do(t, client, request(t, "POST", w.url("/unknown"), io.MultiReader(strings.NewReader("hel"), strings.NewReader("lo"))))
		if body != `got "hello"` || !strings.Contains(response.Header.Get("X-Seen"), " -1 ") {
			t.Errorf("%q, %q", body, response.Header.Get("X-Seen"))
		}
		eventually(t, "nothing is under way", func() bool { return w.requests() == 0 && w.backend("b0").Stats.InFlight() == 0 })
	})
}

func TestResponsesWithoutContentPassOverHTTP2(t *testing.T) {
	ways(t, func(t *testing.T, start starter) {
		w, client := start(func(out http.ResponseWriter, in *http.Request) {
			switch in.URL.Path {
			case "/204":
				out.WriteHeader(204)
			case "/304":
				out.Header().Set("Etag", `"a"`)
				out.WriteHeader(304)
			case "/empty":
				out.Header().Set("Content-Length", "0")
			default:
				out.Header().Set("Content-Length", "5")
				if in.Method != "HEAD" {
					io.WriteString(out, "hello")
				}
			}
		}, nil)
		for _, test := range []struct {
			method, path string
			status       int
			length       int64
			body         string
		}{
			{"GET", "/204", 204, 0, ""}, {"GET", "/304", 304, 0, ""}, {"GET", "/empty", 200, 0, ""},
			{"HEAD", "/", 200, 5, ""}, {"GET", "/", 200, 5, "hello"},
		} {
			response, body := do(t, client, request(t, test.method, w.url(test.path), nil))
			if response.StatusCode != test.status || body != test.body || test.status == 200 && response.ContentLength != test.length {
				t.Errorf("%s %s: %d, %q, length %d", test.method, test.path, response.StatusCode, body, response.ContentLength)
			}
		}
	})
}

func TestTrailersPassOverHTTP2(t *testing.T) {
	ways(t, func(t *testing.T, start starter) {
		w, client := start(func(out http.ResponseWriter, in *http.Request) {
			body, err := io.ReadAll(in.Body)
			if err != nil || string(body) != "hello" || in.Trailer.Get("X-Up") != "a" {
				t.Errorf("%q, %v, trailers %v", body, err, in.Trailer)
			}
			out.Header().Set("Trailer", "X-Down")
			io.WriteString(out, "hi")
			out.Header().Set("X-Down", "b")
		}, nil)
		r := request(t, "POST", w.url("/"), struct{ io.Reader }{strings.NewReader("hello")})
		r.Trailer = http.Header{"X-Up": {"a"}}
		response, body := do(t, client, r)
		if body != "hi" || response.Trailer.Get("X-Down") != "b" {
			t.Errorf("%q, trailers %v", body, response.Trailer)
		}
	})
}

// TestViaTellsTheVersionThatAMessageCameIn is RFC 9110 section 7.6.3: of a request
// the client's, of a response the backend's.
func TestViaTellsTheVersionThatAMessageCameIn(t *testing.T) {
	ways(t, func(t *testing.T, start starter) {
		from, to, _ := strings.Cut(t.Name()[strings.LastIndexByte(t.Name(), '/')+1:], "_to_")
		via := map[string]string{"h1": "1.1 evenkeel", "h2": "2 evenkeel"}
		w, client := start(func(out http.ResponseWriter, in *http.Request) {
			out.Header().Set("X-Via", strings.Join(in.Header["Via"], "; "))
			out.WriteHeader(http.StatusEarlyHints)
		}, nil)
		w.do(put("", "web", fsm.ListenerSpec{Address: ":80", Protocol: fsm.ProtocolHTTP, Forwarding: &fsm.Forwarding{Via: true}}))
		var early string
		get := request(t, "GET", w.url("/"), nil)
		get = get.WithContext(httptrace.WithClientTrace(get.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(_ int, head textproto.MIMEHeader) error { early = head.Get("Via"); return nil }}))
		get.Header.Set("Via", "1.0 before")
		response, _ := do(t, client, get)
		if got := response.Header.Get("X-Via"); got != "1.0 before; "+via[from] {
			t.Errorf("the request's Via: %q", got)
		}
		if got := response.Header.Get("Via"); got != via[to] || early != via[to] {
			t.Errorf("the response's Via: %q, before it %q", got, early)
		}
	})
}

func TestInterimResponsesPassOverHTTP2(t *testing.T) {
	ways(t, func(t *testing.T, start starter) {
		w, client := start(func(out http.ResponseWriter, in *http.Request) {
			out.Header().Set("Link", "</a>")
			out.WriteHeader(103)
			body, err := io.ReadAll(in.Body)
			if err != nil || string(body) != "hello" {
				t.Errorf("%q, %v", body, err)
			}
			out.WriteHeader(200)
		}, nil)
		var seen []int
		continued := false
		trace := &httptrace.ClientTrace{
			Got1xxResponse: func(code int, _ textproto.MIMEHeader) error { seen = append(seen, code); return nil },
			Got100Continue: func() { continued = true },
		}
		r := request(t, "POST", w.url("/"), strings.NewReader("hello"))
		r = r.WithContext(httptrace.WithClientTrace(r.Context(), trace))
		r.Header.Set("Expect", "100-continue")
		response, _ := do(t, client, r)
		if response.StatusCode != 200 || len(seen) == 0 || seen[0] != 103 {
			t.Errorf("%d, interim %v, continued %v", response.StatusCode, seen, continued)
		}
	})
}

func TestBothDirectionsStreamOverHTTP2(t *testing.T) {
	ways(t, func(t *testing.T, start starter) {
		w, client := start(func(out http.ResponseWriter, in *http.Request) {
			control := http.NewResponseController(out)
			_ = control.EnableFullDuplex()
			out.WriteHeader(200)
			_ = control.Flush()
			buffer := make([]byte, 100)
			for {
				n, err := in.Body.Read(buffer)
				if n > 0 {
					out.Write(buffer[:n])
					_ = control.Flush()
				}
				if err != nil {
					return
				}
			}
		}, nil)
		in, up := io.Pipe()
		response, err := client.Do(request(t, "POST", w.url("/"), in))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		for i := range 50 {
			said := fmt.Sprintf("message %d", i)
			io.WriteString(up, said)
			heard := make([]byte, len(said))
			if _, err := io.ReadFull(response.Body, heard); err != nil || string(heard) != said {
				t.Fatalf("%q, %v", heard, err)
			}
		}
		up.Close()
		if rest, err := io.ReadAll(response.Body); err != nil || len(rest) > 0 {
			t.Errorf("%q, %v", rest, err)
		}
	})
}

func TestLargeBodiesPassOverHTTP2(t *testing.T) {
	const size = 20 << 20
	ways(t, func(t *testing.T, start starter) {
		w, client := start(func(out http.ResponseWriter, in *http.Request) {
			n, err := io.Copy(io.Discard, in.Body)
			if err != nil || n != size {
				t.Errorf("%d bytes, %v", n, err)
			}
			io.CopyN(out, zeros{}, size)
		}, nil)
		response, err := client.Do(request(t, "POST", w.url("/"), io.LimitReader(zeros{}, size)))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if n, err := io.Copy(io.Discard, response.Body); err != nil || n != size {
			t.Errorf("%d bytes, %v", n, err)
		}
	})
}

// zeros has no end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
