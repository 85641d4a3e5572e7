package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"evenkeel/fsm"
)

func routeKind() *kind {
	return &kind{
		name: "route", plural: "routes",
		short: "what becomes of which requests",
		fields: []field{
			{flag: "pool", list: true, names: fsm.KindPool, usage: "pool as NAME or NAME=WEIGHT (repeatable)", apply: setPools},
			{flag: "listener", list: true, names: fsm.KindListener, usage: "listener of the route (repeatable; default: all)", apply: texts("listeners")},
			{flag: "host", usage: "host of the requests, or *.DOMAIN", apply: text("match.host")},
			{flag: "sni", usage: "name that the client's TLS asks for, or *.DOMAIN", apply: text("match.sni")},
			{flag: "path", usage: "path of the requests", apply: text("match.path")},
			{flag: "path-prefix", usage: "first segments of the path", apply: text("match.path_prefix")},
			{flag: "path-regexp", usage: "regular expression (RE2) that the whole path matches", apply: text("match.path_regexp")},
			{flag: "method", list: true, usage: "method of the requests, such as GET (repeatable)", apply: texts("match.methods")},
			{flag: "header", list: true, whole: true, usage: "header field of the requests as NAME, NAME=VALUE or NAME~REGEXP, with ! before it what may not be there (repeatable)",
				apply: setMatches("match.headers", "header")},
			{flag: "query", list: true, whole: true, usage: "query parameter of the requests, written as --header (repeatable)", apply: setMatches("match.query", "query")},
			{flag: "priority", usage: "the route with the highest is tried first", apply: number("priority", "priority")},
			{flag: "allow", list: true, usage: "network whose clients alone are let in, such as 10.0.0.0/8 (repeatable)", apply: texts("allow")},
			{flag: "deny", list: true, usage: "network whose clients get 403 (repeatable)", apply: texts("deny")},
			{flag: "redirect-to-https", boolean: true, usage: "answer with the same address under https", apply: setRedirectToHTTPS},
			{flag: "redirect-host", usage: "answer with the same address at another host", apply: text("redirect.host")},
			{flag: "redirect-status", usage: "301, 302, 303, 307 or 308", apply: number("redirect.status", "redirect-status")},
			{flag: "respond-status", usage: "status code of a fixed response", apply: number("respond.status", "respond-status")},
			{flag: "respond-body", usage: "body of a fixed response", apply: text("respond.body")},
			{flag: "rewrite-prefix", usage: "what the backend gets for the path's prefix that matched; / strips it", apply: text("rewrite.prefix")},
			{flag: "rewrite-host", usage: "host that the backend is asked for", apply: text("rewrite.host")},
			{flag: "mirror", names: fsm.KindPool, usage: "pool that gets a copy of the requests, as NAME or NAME=PERCENT", apply: setMirror},
			{flag: "request-timeout", usage: "bound of a whole request, in place of the pool's", apply: text("timeouts.request")},
			{flag: "first-byte-timeout", usage: "bound of the wait for a response's head, in place of the pool's", apply: text("timeouts.first_byte")},
			{flag: "retry-attempts", usage: "how many backends one request may try, in place of the pool's", apply: number("retries.attempts", "retry-attempts")},
		},
		head: []string{"NAME", "PRIORITY", "LISTENERS", "MATCH", "TO"},
		row:  routeRow,
		more: warnings,
	}
}

func routeRow(object []byte) ([]string, error) {
	r, err := decode[fsm.Route](object)
	if err != nil {
		return nil, err
	}
	listeners := strings.Join(r.Spec.Listeners, ",")
	if listeners == "" {
		listeners = "all"
	}
	return []string{r.Name, strconv.Itoa(r.Spec.Priority), listeners, describeMatch(r.Spec.Match), describeAction(r.Spec)}, nil
}

// describeAction returns where requests go, such as "a=9,b=1" or
// "redirect 308 https://example.org".
func describeAction(r fsm.RouteSpec) string {
	switch {
	case r.Respond != nil:
		return fmt.Sprintf("respond %d", r.Respond.Status)
	case r.Redirect != nil:
		scheme, host := r.Redirect.Scheme, r.Redirect.Host
		if scheme != "" {
			scheme += ":"
		}
		if host == "" {
			host = "*"
		}
		return fmt.Sprintf("redirect %d %s//%s", r.Redirect.Status, scheme, host)
	}
	var pools []string
	for _, p := range r.Pools {
		pools = append(pools, fmt.Sprintf("%s=%d", p.Name, p.Weight))
	}
	return strings.Join(pools, ",")
}

// describeMatch writes a match as one would write its URLs, such as
// "GET,HEAD example.org/api/* if X-Env".
func describeMatch(m fsm.RouteMatch) string {
	what := m.Host
	if what == "" {
		what = "*"
	}
	switch {
	case m.Path != "":
		what += m.Path
	case m.PathRegexp != "":
		what += "~" + m.PathRegexp
	default:
		what += strings.TrimSuffix(m.PathPrefix, "/") + "/*"
	}
	if len(m.Methods) > 0 {
		what = strings.Join(m.Methods, ",") + " " + what
	}
	var names []string
	if m.SNI != "" {
		names = append(names, "sni "+m.SNI)
	}
	for _, v := range slices.Concat(m.Headers, m.Query) {
		names = append(names, v.Name)
	}
	if len(names) > 0 {
		what += " if " + strings.Join(names, ",")
	}
	return what
}

// setMatches replaces a list of matches of values.
func setMatches(path, flag string) func(*document, []string) error {
	return func(d *document, texts []string) error {
		if len(texts) == 1 && texts[0] == "" {
			d.setPath(path, nil)
			return nil
		}
		matches := []any{}
		for _, text := range texts {
			rest, absent := strings.CutPrefix(text, "!")
			match := map[string]any{"name": rest}
			if at := strings.IndexAny(rest, "=~"); at >= 0 {
				how := map[byte]string{'=': "value", '~': "regexp"}[rest[at]]
				match["name"], match[how] = rest[:at], rest[at+1:]
			}
			if match["name"] == "" {
				return usage(fmt.Sprintf("--%s %q names nothing: write NAME, NAME=VALUE or NAME~REGEXP", flag, text))
			}
			if absent {
				match["absent"] = true
			}
			matches = append(matches, match)
		}
		d.setPath(path, matches)
		return nil
	}
}

// setRedirectToHTTPS sets the scheme of the redirect, or removes the redirect.
func setRedirectToHTTPS(d *document, texts []string) error {
	yes, err := strconv.ParseBool(texts[0])
	switch {
	case err != nil:
		return usage(fmt.Sprintf("--redirect-to-https %q is neither true nor false", texts[0]))
	case yes:
		d.setPath("redirect.scheme", "https")
	default:
		d.setPath("redirect", nil)
	}
	return nil
}

// setMirror replaces the mirror; an empty text removes it.
func setMirror(d *document, texts []string) error {
	name, percent, shared := strings.Cut(texts[0], "=")
	if texts[0] == "" {
		d.setPath("mirror", nil)
		return nil
	}
	mirror := map[string]any{"pool": name}
	if shared {
		n, err := strconv.Atoi(percent)
		if err != nil {
			return usage(fmt.Sprintf("--mirror %q: percentage %q is not a whole number", texts[0], percent))
		}
		mirror["percent"] = n
	}
	d.setPath("mirror", mirror)
	return nil
}

// setPools replaces the route's pools; a single empty text removes them.
func setPools(d *document, texts []string) error {
	if len(texts) == 1 && texts[0] == "" {
		d.setPath("pools", nil)
		return nil
	}
	pools := []any{}
	for _, text := range texts {
		name, weight, weighted := strings.Cut(text, "=")
		pool := map[string]any{"name": name}
		if weighted {
			n, err := strconv.Atoi(weight)
			if err != nil {
				return usage(fmt.Sprintf("--pool %q: weight %q is not a whole number", text, weight))
			}
			pool["weight"] = n
		}
		pools = append(pools, pool)
	}
	d.setPath("pools", pools)
	return nil
}
