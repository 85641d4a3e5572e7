package table

import (
	"regexp"
	"slices"
	"strings"

	"evenkeel/fsm"
)

// Request is what routing looks at. Its strings may alias buffers that die
// after the call: nothing of it is kept, and nothing is changed.
type Request struct {
	// Listener is the name of the listener that took the request.
	Listener string
	// Host is the host of the target or the Host field, in any case, with or
	// without a port, brackets of an IPv6 address, or a final dot.
	Host string
	// ServerName is what the client's TLS asked for, in any case, without a final
	// dot; "" without TLS, or if it asked for none.
	ServerName string
	// Path is decoded and without dot segments, see [RoutingPath]; an empty one
	// counts as "/".
	Path string
	// Method is as it was sent.
	Method string
	// Query is what follows the "?", as it was sent.
	Query string
	// Fields gives the header fields; nil means that there are none.
	Fields FieldSource

	search *search // of [Table.Explain]: nothing is found then, and all that is looked at is noted
}

// FieldSource gives the header fields of a request. It is asked by the
// goroutine that routes, during the call, and must not block.
type FieldSource interface {
	// FieldText returns the value of the i-th field line of that name, compared
	// without regard to case and counted from 0; ok is false behind the last.
	FieldText(name string, i int) (value string, ok bool)
}

// conditions are what a route asks for besides listener, host and path. They
// are checked only for routes at whose host and path a request arrived.
type conditions struct {
	serverName     string // exact or a wildcard; "" for all
	methods        []string
	headers, query []valueMatch
}

// valueMatch is a compiled [fsm.ValueMatch].
type valueMatch struct {
	name, value string
	pattern     *regexp.Regexp // nil: value counts, or mere presence
	absent      bool
}

// compileConditions returns nil if there are none.
func compileConditions(m fsm.RouteMatch) (*conditions, error) {
	serverName := serverNameOf(&m)
	if serverName == "" && len(m.Methods)+len(m.Headers)+len(m.Query) == 0 {
		return nil, nil
	}
	headers, err := compileValues(m.Headers)
	if err != nil {
		return nil, err
	}
	query, err := compileValues(m.Query)
	if err != nil {
		return nil, err
	}
	return &conditions{serverName: serverName, methods: m.Methods, headers: headers, query: query}, nil
}

func compileValues(specs []fsm.ValueMatch) ([]valueMatch, error) {
	all := make([]valueMatch, len(specs))
	for i, spec := range specs {
		all[i] = valueMatch{name: spec.Name, value: spec.Value, absent: spec.Absent}
		if spec.Regexp == "" {
			continue
		}
		pattern, err := compileWhole(spec.Regexp)
		if err != nil {
			return nil, err
		}
		all[i].pattern = pattern
	}
	return all, nil
}

// compileWhole compiles an expression that must match all of a text. An
// expression may begin a quotation, \Q, and leave it open: then what is put
// behind it would be part of the quotation, whose missing parenthesis tells.
func compileWhole(expression string) (*regexp.Regexp, error) {
	if pattern, err := regexp.Compile(`\A(?:` + expression + `)\z`); err == nil {
		return pattern, nil
	}
	return regexp.Compile(`\A(?:` + expression + `\E)\z`)
}

// count is how many conditions there are: the more, the earlier a route goes.
func (c *conditions) count() int {
	if c == nil {
		return 0
	}
	n := len(c.headers) + len(c.query)
	if c.serverName != "" {
		n++
	}
	if len(c.methods) > 0 {
		n++
	}
	return n
}

// unmet returns the first condition that a request does not meet, a header or
// query parameter with its place in the route's list; [missNone] if it meets all.
func (c *conditions) unmet(q *Request) (kind miss, at int) {
	if c == nil {
		return missNone, 0
	}
	if c.serverName != "" && !isNamed(c.serverName, q.ServerName) {
		return missServerName, 0
	}
	if len(c.methods) > 0 && !slices.Contains(c.methods, q.Method) {
		return missMethod, 0
	}
	for i := range c.headers {
		if m := &c.headers[i]; m.inFields(q.Fields) == m.absent {
			return missHeader, i
		}
	}
	for i := range c.query {
		if m := &c.query[i]; m.inQuery(q.Query) == m.absent {
			return missQuery, i
		}
	}
	return missNone, 0
}

// isNamed tells whether a pattern is the name, or a wildcard above it.
func isNamed(pattern, name string) bool {
	domain, wildcard := strings.CutPrefix(pattern, "*")
	if !wildcard {
		return strings.EqualFold(pattern, name)
	}
	return len(name) > len(domain) && strings.EqualFold(name[len(name)-len(domain):], domain)
}

// inFields tells whether a field line has the name and, as a whole, the value.
func (m *valueMatch) inFields(fields FieldSource) bool {
	if fields == nil {
		return false
	}
	for i := 0; ; i++ {
		value, ok := fields.FieldText(m.name, i)
		if !ok {
			return false
		}
		switch {
		case m.pattern != nil:
			ok = m.pattern.MatchString(value)
		case m.value != "":
			ok = value == m.value
		}
		if ok {
			return true
		}
	}
}
