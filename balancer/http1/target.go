package http1

import "bytes"

// Form is how a request names its target, RFC 9112 section 3.2.
type Form uint8

const (
	OriginForm    Form = iota // a path and perhaps a query
	AbsoluteForm              // a whole http or https URI, as to a forward proxy
	AsteriskForm              // "*", the server itself; OPTIONS only
	AuthorityForm             // host and port; CONNECT, and nothing else there
)

// asterisk is the path of what asks about the server as a whole; never written.
var asterisk = []byte("*")

// parseTarget reads the target, which is in r with the method.
func (r *Request) parseTarget() *Fault {
	t := r.Target
	switch {
	case !IsTarget(t):
		return FaultTarget
	case r.Method == CONNECT:
		r.Form = AuthorityForm
		r.Path, r.Query, r.HasQuery = nil, nil, false
		return r.parseAuthorityForm()
	case t[0] == '/':
		r.Form = OriginForm
		r.splitPath(t)
		return nil
	case len(t) == 1 && t[0] == '*':
		r.Form = AsteriskForm
		r.Path, r.Query, r.HasQuery = t, nil, false
		if r.Method != OPTIONS {
			return FaultTargetForm
		}
		return nil
	}
	r.Form = AbsoluteForm
	return r.parseAbsoluteForm()
}

func (r *Request) splitPath(t []byte) {
	if i := bytes.IndexByte(t, '?'); i >= 0 {
		r.Path, r.Query, r.HasQuery = t[:i:i], t[i+1:], true
	} else {
		r.Path, r.Query, r.HasQuery = t, nil, false
	}
}

// parseAuthorityForm wants a host and a port: RFC 9112 section 3.2.3.
func (r *Request) parseAuthorityForm() *Fault {
	if fault := authority(r.Target); fault != nil {
		return fault
	}
	if n := hostLen(r.Target); n >= len(r.Target)-1 {
		return FaultPort
	}
	return nil
}

// parseAbsoluteForm reads an http or https URI (RFC 9112 section 3.2.2, RFC
// 9110 section 4.2), whose host must not be empty. Without a path it names the
// root (RFC 9110 section 4.2.3), or for OPTIONS the server (RFC 9112 section
// 3.2.4).
func (r *Request) parseAbsoluteForm() *Fault {
	scheme := schemeLen(r.Target)
	if scheme == 0 {
		return FaultTargetForm
	}
	rest := r.Target[scheme:]
	end := 0
	for end < len(rest) && rest[end] != '/' && rest[end] != '?' {
		end++
	}
	if end == 0 {
		return FaultTargetHost
	}
	if fault := authority(rest[:end]); fault != nil {
		return fault
	}
	r.Host = rest[:end:end]
	r.splitPath(rest[end:])
	if len(r.Path) > 0 {
		return nil
	}
	r.Path = r.Target[scheme-1 : scheme : scheme] // the last "/" of the scheme's
	if r.Method == OPTIONS && !r.HasQuery {
		r.Path = asterisk
	}
	return nil
}

// schemeLen is the length of the scheme of an http or https URI with its
// slashes, 0 if b is neither. Schemes are case-insensitive (RFC 3986 section
// 3.1).
func schemeLen(b []byte) int {
	for _, scheme := range [...]string{"http://", "https://"} {
		if len(b) >= len(scheme) && equalFold(b[:len(scheme)], scheme) {
			return len(scheme)
		}
	}
	return 0
}
