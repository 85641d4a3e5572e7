package fsm

// RouteSpec says what becomes of the requests that match: exactly one of
// Pools, Redirect and Respond is set.
type RouteSpec struct {
	// Listeners are the names of the listeners that the route belongs to;
	// none means all of them.
	Listeners []string   `json:"listeners,omitempty"`
	Match     RouteMatch `json:"match"`
	// Priority orders routes before any other rule, the highest first;
	// -1,000,000 to 1,000,000.
	Priority int `json:"priority"`
	// Allow and Deny are networks in CIDR form, at most 256 each. A client
	// whose address is in Deny, or not in Allow where that is not empty, gets
	// 403. The address is that of the connection, or the one that a trusted
	// proxy names last.
	Allow []string `json:"allow,omitempty"`
	Deny  []string `json:"deny,omitempty"`

	// Pools share the requests in proportion to their weights.
	Pools []WeightedPool `json:"pools,omitempty"`
	// Redirect answers with another address.
	Redirect *Redirect `json:"redirect,omitempty"`
	// Respond answers with a fixed response.
	Respond *Respond `json:"respond,omitempty"`

	// What follows, but for ResponseFields and ErrorPages, goes with Pools alone.

	// Rewrite changes what the backend is asked for.
	Rewrite *Rewrite `json:"rewrite,omitempty"`
	// RequestFields and ResponseFields edit header fields, in the order of
	// the list; at most 64 each.
	RequestFields  []FieldEdit `json:"request_fields,omitempty"`
	ResponseFields []FieldEdit `json:"response_fields,omitempty"`
	// Mirror sends a copy of a share of the requests to another pool and throws
	// its responses away.
	Mirror *Mirror `json:"mirror,omitempty"`
	// ErrorPages replace the bodies of Evenkeel's own error responses; at most
	// 16.
	ErrorPages []ErrorPage `json:"error_pages,omitempty"`
	// Timeouts and Retries replace those of the pool where they are set.
	Timeouts *RouteTimeouts `json:"timeouts,omitempty"`
	Retries  *RouteRetries  `json:"retries,omitempty"`
}

// Kind implements [Spec].
func (RouteSpec) Kind() Kind { return KindRoute }

// SetDefaults fills a new spec with the defaults.
func (*RouteSpec) SetDefaults() {}

// RouteMatch is what a request must look like. An empty field matches all.
type RouteMatch struct {
	// Host is a host name, or "*." and a domain for every name below it.
	Host string `json:"host,omitempty"`
	// SNI is the name that the client's TLS asks for, a host name, or "*." and a domain
	// for every name below it. It is of listeners of [ProtocolHTTPS] and
	// [ProtocolTLSPassthrough]; what comes without TLS does not match. Nothing else
	// of a match is known of a connection that is forwarded whole.
	SNI string `json:"sni,omitempty"`
	// Path must be equal to the request's path; PathPrefix must be equal to
	// its first whole segments, so "/api" matches "/api" and "/api/x" but not
	// "/apix"; PathRegexp (RE2 syntax) must match the whole path. At most one of
	// the three is set. All are compared with the path as it is once decoded and
	// without dot segments: "/a b", not "/a%20b".
	Path       string `json:"path,omitempty"`
	PathPrefix string `json:"path_prefix,omitempty"`
	PathRegexp string `json:"path_regexp,omitempty"`
	// Methods are the methods that match, in upper case as they are sent; at most
	// 16 of at most 32 bytes.
	Methods []string `json:"methods,omitempty"`
	// Headers and Query must all match; at most 16 each.
	Headers []ValueMatch `json:"headers,omitempty"`
	Query   []ValueMatch `json:"query,omitempty"`
}

// ValueMatch is what a header field or query parameter must look like. At most
// one of Value and Regexp is set; without both, its presence is enough. Regular
// expressions have at most 1,024 bytes, here as elsewhere.
type ValueMatch struct {
	// Name is compared without regard to case for fields, exactly for query
	// parameters.
	Name string `json:"name"`
	// Value must be equal to one of the values.
	Value string `json:"value,omitempty"`
	// Regexp (RE2 syntax) must match one of the values as a whole.
	Regexp string `json:"regexp,omitempty"`
	// Absent inverts the match: nothing of that name (and value) may be there.
	Absent bool `json:"absent,omitempty"`
}

// WeightedPool is a pool's share of a route.
type WeightedPool struct {
	Name string `json:"name"`
	// Weight is 0 to 1000, 1 by default.
	Weight int `json:"weight"`
}

// SetDefaults fills a new share with the defaults.
func (w *WeightedPool) SetDefaults() { w.Weight = 1 }

// Redirect answers with a Location made from the request's own address (scheme,
// host, path, query), parts of which it replaces: at least one of Scheme, Host,
// Port, Path and Prefix.
type Redirect struct {
	// Status is 301, 302, 303, 307 or 308; 308 by default.
	Status int `json:"status"`
	// Scheme is "http", "https" or empty for the listener's own.
	Scheme string `json:"scheme,omitempty"`
	// Host replaces the host, Port the port (0: the scheme's default if Scheme
	// or Host is set, else the request's own). Host is a name, an IPv4 address or
	// an IPv6 address in brackets.
	Host string `json:"host,omitempty"`
	Port int    `json:"port,omitempty"`
	// Path replaces the path, Prefix that part of it that the route's
	// PathPrefix matched. At most one is set.
	Path   string  `json:"path,omitempty"`
	Prefix *string `json:"prefix,omitempty"`
	// DropQuery leaves the query out.
	DropQuery bool `json:"drop_query,omitempty"`
}

// SetDefaults fills a new redirect with the defaults.
func (r *Redirect) SetDefaults() { r.Status = 308 }

// Respond is a fixed response.
type Respond struct {
	// Status is 200 to 599; 200 by default.
	Status int `json:"status"`
	// Body has at most 65,536 bytes; none with 204, 205 and 304.
	Body string `json:"body,omitempty"`
	// ContentType is "text/plain; charset=utf-8" by default.
	ContentType string `json:"content_type"`
}

// SetDefaults fills a new response with the defaults.
func (r *Respond) SetDefaults() { r.Status, r.ContentType = 200, "text/plain; charset=utf-8" }

// Rewrite changes a request on its way to the backend. At most one of Path,
// Prefix and Regexp is set.
type Rewrite struct {
	// Path replaces the whole path.
	Path string `json:"path,omitempty"`
	// Prefix replaces that part of the path that the route's PathPrefix matched;
	// "" or "/" strips it.
	Prefix *string `json:"prefix,omitempty"`
	// Regexp (RE2 syntax) is replaced wherever it matches the path as it was
	// sent, by Replacement (at most 1,024 bytes), in which $1 or ${name} stand for
	// what the groups matched.
	Regexp      string `json:"regexp,omitempty"`
	Replacement string `json:"replacement,omitempty"`
	// Host replaces the Host field: a host, with or without a port.
	Host string `json:"host,omitempty"`
}

// Operations of a [FieldEdit].
const (
	EditSet    = "set"    // replaces all fields of that name by one
	EditAdd    = "add"    // adds one more
	EditRemove = "remove" // removes all of that name
)

// FieldEdit is one change of header fields. Those that frame a message or belong
// to one connection cannot be edited, nor can Host, which [Rewrite] changes.
type FieldEdit struct {
	// Op is one of the Edit constants.
	Op   string `json:"op"`
	Name string `json:"name"`
	// Value is empty for [EditRemove]; at most 4,096 bytes.
	Value string `json:"value,omitempty"`
}

// Mirror is where copies of requests go.
type Mirror struct {
	Pool string `json:"pool"`
	// Percent is the share of requests that are copied: 1 to 100, 100 by
	// default. Requests with a body of more than 64 KiB, or of unknown length,
	// are not copied.
	Percent int `json:"percent"`
}

// SetDefaults fills a new mirror with the defaults.
func (m *Mirror) SetDefaults() { m.Percent = 100 }

// ErrorPage is the body of Evenkeel's own responses of some statuses.
type ErrorPage struct {
	// Status is 400 to 599.
	Status int `json:"status"`
	// Body has at most 65,536 bytes.
	Body string `json:"body"`
	// ContentType is "text/html; charset=utf-8" by default.
	ContentType string `json:"content_type"`
}

// SetDefaults fills a new page with the defaults.
func (p *ErrorPage) SetDefaults() { p.ContentType = "text/html; charset=utf-8" }

// RouteTimeouts replace timeouts of the pool. Zero keeps the pool's.
type RouteTimeouts struct {
	// Request and FirstByte are as in [PoolTimeouts].
	Request   Duration `json:"request,omitempty" zero:"refused"`
	FirstByte Duration `json:"first_byte,omitempty" zero:"refused"`
}

// RouteRetries replace retries of the pool.
type RouteRetries struct {
	// Attempts is as in [Retries]; 1 means that a request is never sent to a
	// second backend.
	Attempts int `json:"attempts"`
}

// SetDefaults fills new retries with the defaults.
func (r *RouteRetries) SetDefaults() { r.Attempts = 8 }
