package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"evenkeel/fsm"
	"evenkeel/httpapi/problem"
)

// ExplainQuery is a request of which is asked what a node would do with it.
type ExplainQuery struct {
	Method string
	// Host is the authority of the URL, Port its port or the scheme's, and Target what
	// follows, as it was written and without a fragment.
	Host   string
	Port   uint16
	Target string
	// Fields are header fields, as "Name: value" in one line each.
	Fields []string
	// Client is who sends the request.
	Client netip.Addr
	// Listener is the name of the listener that takes it; "" has it found by the
	// host and port.
	Listener string
}

// The bounds of what may be asked, which no request of a client's exceeds by much.
const (
	maxExplainURL    = 1 << 20
	maxExplainFields = 4096
	maxExplainMethod = 32
)

// explain says what this node would do with a request, without sending it.
func (a *API) explain(_ http.ResponseWriter, r *http.Request) (any, error) {
	x := explainReader{query: r.URL.Query()}
	q := x.read(r.RemoteAddr)
	if q.Listener != "" && a.config.Cluster.State().Listener(q.Listener) == nil {
		x.fault("/listener", "there is no listener %q: GET /v1/listeners shows what exists", clip(q.Listener))
	}
	if len(x.faults) > 0 {
		p := problem.Invalid(x.faults)
		p.Kind = problem.InvalidRequest
		return nil, p
	}
	if a.config.Explain != nil {
		if e := a.config.Explain(q); e != nil {
			return e, nil
		}
	}
	return nil, problem.New(problem.NotReady, "this node takes no traffic, as it is a witness: ask another one")
}

// explainReader reads the parameters, and keeps all that is wrong with them.
type explainReader struct {
	query  url.Values
	faults []fsm.Fault
}

func (x *explainReader) fault(pointer, format string, args ...any) {
	x.faults = append(x.faults, fsm.Fault{Pointer: pointer, Message: fmt.Sprintf(format, args...)})
}

// read returns the question; asker is who sends it, and counts as the client unless
// another one is named.
func (x *explainReader) read(asker string) ExplainQuery {
	q := ExplainQuery{Method: http.MethodGet, Listener: x.query.Get("listener")}
	x.readURL(&q)
	if x.query.Has("method") {
		q.Method = x.query.Get("method")
		if q.Method == "" || len(q.Method) > maxExplainMethod || !isToken(q.Method) {
			x.fault("/method", "%q is no method: use letters, digits and a few signs, 1 to %d of them, such as GET", clip(q.Method), maxExplainMethod)
		}
	}
	if x.query.Has("listener") && q.Listener == "" {
		x.fault("/listener", "is empty: name one, or leave it out")
	}
	x.readFields(&q)
	client := asker
	if x.query.Has("client") {
		client = x.query.Get("client")
	}
	addr, ok := readClient(client)
	if !ok && x.query.Has("client") {
		x.fault("/client", "%q is no address: write IP, IP:port or [IP]:port, such as 192.0.2.1", clip(client))
	}
	q.Client = addr
	return q
}

// readURL takes the URL apart without a change, since that is what a client sends.
func (x *explainReader) readURL(q *ExplainQuery) {
	text := x.query.Get("url")
	if text == "" {
		x.fault("/url", "is missing: say url=http://HOST/PATH, with what is special in it escaped for a query")
		return
	}
	if len(text) > maxExplainURL {
		x.fault("/url", "has %d bytes, at most %d are taken", len(text), maxExplainURL)
		return
	}
	if at := strings.IndexFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f }); at >= 0 {
		x.fault("/url", "%q holds something other than visible ASCII at byte %d: escape it, such as a space as %%20", clip(text), at)
		return
	}
	scheme, rest, ok := strings.Cut(text, "://")
	switch {
	case !ok:
		x.fault("/url", "%q has no scheme: write http://HOST/PATH", clip(text))
		return
	case strings.EqualFold(scheme, "http"):
		q.Port = 80
	case strings.EqualFold(scheme, "https"):
		q.Port = 443
	default:
		x.fault("/url", "the scheme %q is not known: write http or https", clip(scheme))
	}
	rest, _, _ = strings.Cut(rest, "#")
	q.Host, q.Target = rest, ""
	if end := strings.IndexAny(rest, "/?"); end >= 0 {
		q.Host, q.Target = rest[:end], rest[end:]
	}
	x.readAuthority(q)
}

// readAuthority finds the port; without one it stays the scheme's.
func (x *explainReader) readAuthority(q *ExplainQuery) {
	u, err := url.Parse("http://" + q.Host)
	switch {
	case err != nil:
		reason := err.Error()
		if cause := (*url.Error)(nil); errors.As(err, &cause) {
			reason = cause.Err.Error()
		}
		x.fault("/url", "the host %q cannot be read: %s", clip(q.Host), clip(reason))
		return
	case u.User != nil:
		x.fault("/url", "the host %q has a user before it, which no client sends: leave that out", clip(q.Host))
		return
	case u.Hostname() == "":
		x.fault("/url", "there is no host: write http://HOST/PATH")
		return
	}
	if text := u.Port(); text != "" {
		port, err := strconv.ParseUint(text, 10, 16)
		if err != nil || port == 0 {
			x.fault("/url", "the port %q is not from 1 to 65535", clip(text))
			return
		}
		q.Port = uint16(port)
	}
}

func (x *explainReader) readFields(q *ExplainQuery) {
	fields := x.query["header"]
	if len(fields) > maxExplainFields {
		x.fault("/header", "is given %d times, at most %d are taken", len(fields), maxExplainFields)
		return
	}
	for i, field := range fields {
		pointer := fmt.Sprintf("/header/%d", i)
		name, value, ok := strings.Cut(field, ":")
		switch {
		case !ok:
			x.fault(pointer, "%q has no colon: write \"Name: value\"", clip(field))
		case !isToken(name):
			x.fault(pointer, "%q is no name of a header field: use letters, digits and hyphens, and no space before the colon", clip(name))
		case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
			x.fault(pointer, "the value of %q holds a control character", clip(name))
		default:
			q.Fields = append(q.Fields, field)
		}
	}
}

// readClient reads an address with or without a port.
func readClient(text string) (netip.Addr, bool) {
	if end, err := netip.ParseAddrPort(text); err == nil {
		return end.Addr().Unmap(), true
	}
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	return addr.Unmap(), err == nil
}

// isToken tells whether a text is a token: RFC 9110 section 5.6.2.
func isToken(text string) bool {
	for i := range len(text) {
		switch c := text[i]; {
		case 'a' <= c|0x20 && c|0x20 <= 'z', '0' <= c && c <= '9', strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0:
		default:
			return false
		}
	}
	return text != ""
}
