package table

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"evenkeel/fsm"
)

// Request is what routing looks at. Its strings may alias buffers that die
// after the call; nothing of it is kept.
type Request struct {
	// Listener is the name of the listener that took the request.
	Listener string
	// Host is the host of the target or the Host field, in any case, with or
	// without a port, brackets of an IPv6 address, or a final dot.
	Host string
	// Path is decoded and without dot segments, see [RoutingPath]; an empty one
	// counts as "/".
	Path string
	// Method is as it was sent.
	Method string
	// Query is what follows the "?", as it was sent.
	Query string
	// Fields gives the header fields; nil means that there are none.
	Fields FieldSource
}

// FieldSource gives the header fields of a request.
type FieldSource interface {
	// FieldText returns the value of the i-th field of that name, compared
	// without regard to case; ok is false behind the last.
	FieldText(name string, i int) (value string, ok bool)
}

// conditions are what a route asks for besides host and path.
type conditions struct {
	methods        []string
	headers, query []valueMatch
}

// valueMatch is a compiled [fsm.ValueMatch].
type valueMatch struct {
	name, value string
	pattern     *regexp.Regexp // nil: value counts, or mere presence
	absent      bool
}

// compileConditions returns nil if there are none. The registry validated the
// patterns; one that does not compile matches nothing.
func compileConditions(m fsm.RouteMatch) *conditions {
	if len(m.Methods)+len(m.Headers)+len(m.Query) == 0 {
		return nil
	}
	return &conditions{methods: m.Methods, headers: compileValues(m.Headers), query: compileValues(m.Query)}
}

func compileValues(specs []fsm.ValueMatch) []valueMatch {
	all := make([]valueMatch, len(specs))
	for i, spec := range specs {
		all[i] = valueMatch{name: spec.Name, value: spec.Value, absent: spec.Absent}
		if spec.Regexp != "" {
			all[i].pattern = compileWhole(spec.Regexp)
		}
	}
	return all
}

// never matches nothing.
var never = regexp.MustCompile(`\z.`)

// compileWhole compiles an expression that must match all of a text.
func compileWhole(expression string) *regexp.Regexp {
	pattern, err := regexp.Compile(`\A(?:` + expression + `)\z`)
	if err != nil {
		return never
	}
	return pattern
}

// count is how many conditions there are: the more, the earlier a route goes.
func (c *conditions) count() int {
	if c == nil {
		return 0
	}
	n := len(c.headers) + len(c.query)
	if len(c.methods) > 0 {
		n++
	}
	return n
}

// hold tells whether a request meets all conditions.
func (c *conditions) hold(q *Request) bool {
	if c == nil {
		return true
	}
	if len(c.methods) > 0 && !slices.Contains(c.methods, q.Method) {
		return false
	}
	for i := range c.headers {
		if m := &c.headers[i]; m.foundInFields(q.Fields) == m.absent {
			return false
		}
	}
	for i := range c.query {
		if m := &c.query[i]; m.foundInQuery(q.Query) == m.absent {
			return false
		}
	}
	return true
}

func (m *valueMatch) foundInFields(fields FieldSource) bool {
	if fields == nil {
		return false
	}
	for i := 0; ; i++ {
		value, ok := fields.FieldText(m.name, i)
		if !ok {
			return false
		}
		if m.accepts(value) {
			return true
		}
	}
}

func (m *valueMatch) foundInQuery(query string) bool {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		name, value, _ := strings.Cut(pair, "=")
		if unescapeQuery(name) == m.name && m.accepts(unescapeQuery(value)) {
			return true
		}
	}
	return false
}

// unescapeQuery decodes a part of a query, and leaves what is malformed.
func unescapeQuery(text string) string {
	if strings.IndexByte(text, '%') < 0 && strings.IndexByte(text, '+') < 0 {
		return text
	}
	if plain, err := url.QueryUnescape(text); err == nil {
		return plain
	}
	return text
}

func (m *valueMatch) accepts(value string) bool {
	switch {
	case m.pattern != nil:
		return m.pattern.MatchString(value)
	case m.value != "":
		return value == m.value
	}
	return true
}
