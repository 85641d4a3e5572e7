package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"evenkeel/balancer/http1"
	"evenkeel/balancer/table"
)

// Handler sends requests to the backends of a table. It may be used by any
// number of goroutines.
type Handler struct {
	listener string
	tables   func() *table.Table
	reverse  httputil.ReverseProxy
	started  time.Time
}

// NewHandler returns a handler that looks requests up as those of the listener
// of that name, in the table that tables returns for each. A nil logger logs
// nothing.
func NewHandler(listener string, tables func() *table.Table, logger *slog.Logger) *Handler {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	h := &Handler{listener: listener, tables: tables, started: time.Now()}
	h.reverse = httputil.ReverseProxy{
		Rewrite:        rewrite,
		ModifyResponse: editResponse,
		ErrorHandler:   answerError,
		ErrorLog:       slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
		FlushInterval:  -1,
		Transport:      &attempts{base: newTransport(), now: h.now},
	}
	return h
}

// Close closes the idle connections to backends.
func (h *Handler) Close() { h.reverse.Transport.(*attempts).base.CloseIdleConnections() }

func (h *Handler) now() int64 { return int64(time.Since(h.started)) }

// trip is what the parts of one request share, by its context.
type trip struct {
	route  *table.Route
	pool   *table.Pool
	target string // what the route's rewrite makes of the request's, if it has one
	choice table.Choice
}

type tripKey struct{}

func tripOf(ctx context.Context) *trip { return ctx.Value(tripKey{}).(*trip) }

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(rw http.ResponseWriter, in *http.Request) {
	path, _, ok := table.RoutingPath(nil, in.URL.EscapedPath())
	if !ok {
		answer(rw, nil, http.StatusBadRequest, "the path is not correctly escaped")
		return
	}
	tables, client := h.tables(), clientOf(in)
	route := tables.Route(&table.Request{
		Listener: h.listener, Host: in.Host, Path: path,
		Method: in.Method, Query: in.URL.RawQuery, Fields: fields(in.Header),
	})
	switch {
	case route == nil:
		answer(rw, nil, http.StatusNotFound, "no route matches this request")
		return
	case !route.Access.Allows(client):
		answer(rw, route, http.StatusForbidden, "this client may not use this route")
		return
	case route.Redirect != nil:
		redirect(rw, in, route.Redirect)
		return
	case route.Respond != nil:
		respond(rw, route.Respond.Status, &route.Respond.Page)
		return
	}
	t := &trip{route: route, pool: tables.Pool(route)}
	if w := route.Rewrite; w != nil {
		target := w.AppendTarget(nil, in.URL.EscapedPath(), in.URL.RawQuery, in.URL.RawQuery != "" || in.URL.ForceQuery)
		if target == nil {
			answer(rw, route, http.StatusRequestURITooLong, "the path is too long once it is rewritten")
			return
		}
		t.target = string(target)
	}
	if t.pool == nil {
		answer(rw, route, http.StatusServiceUnavailable, "no backend is available for this request")
		return
	}
	t.choice = table.Choice{Client: client, Path: in.URL.EscapedPath(), Query: in.URL.RawQuery, Fields: fields(in.Header)}
	h.reverse.ServeHTTP(rw, in.WithContext(context.WithValue(in.Context(), tripKey{}, t)))
}

// fields are header fields as tables look at them.
type fields http.Header

// FieldText implements [table.FieldSource].
func (f fields) FieldText(name string, i int) (string, bool) {
	values := http.Header(f).Values(name)
	if i >= len(values) {
		return "", false
	}
	return values[i], true
}

func clientOf(in *http.Request) netip.Addr {
	endpoint, err := netip.ParseAddrPort(in.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return endpoint.Addr().Unmap()
}

// rewrite makes the outgoing request; [attempts] puts in the backend's address.
func rewrite(r *httputil.ProxyRequest) {
	t := tripOf(r.In.Context())
	r.Out.URL.Scheme, r.Out.URL.Host = "http", "backend"
	r.Out.Host = r.In.Host
	r.SetXForwarded()
	if w := t.route.Rewrite; w != nil {
		path, query, _ := strings.Cut(t.target, "?")
		r.Out.URL.RawQuery = query
		if plain, err := url.PathUnescape(path); err == nil { // it is escaped as it should be
			r.Out.URL.Path, r.Out.URL.RawPath = plain, path
		}
		if w.Host != "" {
			r.Out.Host = w.Host
		}
	}
	edit(r.Out.Header, t.route.RequestEdits)
}

func editResponse(response *http.Response) error {
	edit(response.Header, tripOf(response.Request.Context()).route.ResponseEdits)
	return nil
}

func edit(h http.Header, edits []http1.Edit) {
	for _, e := range edits {
		switch e.Op {
		case http1.EditSet:
			h.Set(e.Name, e.Value)
		case http1.EditAdd:
			h.Add(e.Name, e.Value)
		case http1.EditRemove:
			h.Del(e.Name)
		}
	}
}

func redirect(w http.ResponseWriter, in *http.Request, to *table.Redirect) {
	scheme := "http"
	if in.TLS != nil {
		scheme = "https"
	}
	location := to.AppendLocation(nil, table.RedirectRequest{
		Scheme: scheme, Host: in.Host, Path: in.URL.EscapedPath(), Query: in.URL.RawQuery,
		HasQuery: in.URL.RawQuery != "" || in.URL.ForceQuery,
	})
	w.Header().Set("Location", string(location))
	w.WriteHeader(to.Status)
}

func respond(w http.ResponseWriter, status int, page *table.Page) {
	w.Header().Set("Content-Type", page.ContentType)
	w.WriteHeader(status)
	// An error means that the client left, and nobody is owed anything then.
	_, _ = w.Write(page.Body)
}

// answer is a response of Evenkeel's own; route may be nil.
func answer(w http.ResponseWriter, route *table.Route, status int, text string) {
	page := route.ErrorPage(status)
	if page == nil {
		page = &table.Page{Body: []byte("Evenkeel: " + text + ".\n"), ContentType: "text/plain; charset=utf-8"}
	}
	respond(w, status, page)
}

func answerError(w http.ResponseWriter, in *http.Request, err error) {
	route := tripOf(in.Context()).route
	var slow net.Error
	switch {
	case errors.Is(err, errNoBackend):
		answer(w, route, http.StatusServiceUnavailable, "no backend is available for this request")
	case errors.As(err, &slow) && slow.Timeout():
		answer(w, route, http.StatusGatewayTimeout, "the backend did not answer in time")
	default:
		answer(w, route, http.StatusBadGateway, "the backend broke off or sent no valid response")
	}
}
