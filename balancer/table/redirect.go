package table

import (
	"slices"
	"strconv"
	"strings"

	"evenkeel/fsm"
)

// Redirect answers with another address. See [fsm.Redirect].
type Redirect struct {
	Status int

	scheme, host string // "" keeps the request's
	port         int    // 0: see port
	path         pathChange
	dropQuery    bool
}

func compileRedirect(spec *fsm.Redirect, matched string) *Redirect {
	return &Redirect{
		Status: spec.Status, scheme: spec.Scheme, host: spec.Host, port: spec.Port,
		path: newPathChange(spec.Path, spec.Prefix, matched), dropQuery: spec.DropQuery,
	}
}

// RedirectRequest is the request that is redirected.
type RedirectRequest struct {
	Scheme string // how the client speaks to us: "http" or "https"
	// Host is as the client wrote it, with its port if it wrote one.
	Host string
	// Path and Query are as they were sent.
	Path, Query string
	HasQuery    bool // there is a "?", whatever is behind it
}

// AppendLocation appends the address to go to (RFC 9110 section 10.2.2), which
// holds nothing but visible ASCII. It is absolute, unless neither the client
// nor the route names a host: then there is nothing but a path to give. It
// appends the path "/" for "*".
func (r *Redirect) AppendLocation(dst []byte, q RedirectRequest) []byte {
	if q.Path == "*" {
		q.Path = "/"
	}
	dst, absolute := r.appendOrigin(dst, q)
	start := len(dst)
	dst = r.path.appendTo(dst, q.Path)
	if !absolute && len(dst) > start+1 && dst[start+1] == '/' {
		// "//x" would be read as the host x (RFC 3986 section 4.2).
		dst = slices.Insert(dst, start, '/', '.')
	}
	if q.HasQuery && !r.dropQuery {
		dst = appendQuery(dst, q.Query)
	}
	return dst
}

// appendOrigin writes scheme, host and port, or nothing if no host is known.
func (r *Redirect) appendOrigin(dst []byte, q RedirectRequest) (_ []byte, absolute bool) {
	host, port := splitPort(q.Host)
	if r.host != "" {
		host = r.host
	}
	if host == "" {
		return dst, false
	}
	scheme := q.Scheme
	if r.scheme != "" {
		scheme = r.scheme
	}
	dst = append(append(dst, scheme...), "://"...)
	dst = appendEscaped(dst, host, inHost)
	switch {
	case r.port != 0 && r.port != defaultPort(scheme):
		dst = strconv.AppendInt(append(dst, ':'), int64(r.port), 10)
	case r.port == 0 && r.scheme == "" && r.host == "" && port != "":
		dst = appendEscaped(append(dst, ':'), port, inHost)
	}
	return dst, true
}

func defaultPort(scheme string) int {
	if scheme == "https" {
		return 443
	}
	return 80
}

// splitPort returns a host with the brackets of an IPv6 address, and its port.
func splitPort(host string) (name, port string) {
	colon := strings.LastIndexByte(host, ':')
	if colon < 0 || strings.HasSuffix(host, "]") {
		return host, ""
	}
	return host[:colon], host[colon+1:]
}
