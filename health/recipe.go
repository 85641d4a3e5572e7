package health

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"evenkeel/fsm"
)

// maxWindow is how much of an answer is searched for what the check expects.
const maxWindow = 64 << 10

// recipe is what the probers of one check share, so that each of a pool's
// thousands of backends keeps only what is its own. It is immutable.
type recipe struct {
	source *fsm.Check // what it was made of, and
	header string     // the version of the pool's PROXY header, "" for none
	check  fsm.Check
	tls    *tls.Config // nil: none

	// Of an HTTP check: the request up to the value of its Host field and from
	// there on, by itself and as one of several on its connection; what it asks
	// for, and what it expects.
	before, after, afterKept string
	// reuses is set if a connection may take several requests.
	reuses bool

	target   url.URL
	expect   fsm.StatusSet
	expected string // as a person wrote it
	strict   bool   // the statuses are the user's choice, not the default
	text     []byte
	pattern  *regexp.Regexp

	// Of a TCP check.
	send, receive []byte

	userAgent string // of a gRPC check, which makes its request anew each time

	// announce is the PROXY header that connections begin with, "" for none.
	announce string
}

// What a connection of nobody's begins with: a probe is not on behalf of a client
// (https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt, section 2). A backend
// that wants a header would find any other probe malformed.
const (
	announcesNobodyV1 = "PROXY UNKNOWN\r\n"
	announcesNobodyV2 = "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00" // the command LOCAL
)

// newRecipe checks again what the registry's validation has: a check that came
// past it must be void, and never speak nonsense to a backend. header is the pool's
// [fsm.PoolSpec.ProxyProtocol], which is about the port of its traffic: one of the
// check's own is for checks.
func newRecipe(check *fsm.Check, header, userAgent string) (*recipe, error) {
	r := &recipe{source: check, header: header, check: *check}
	switch {
	case check.Port != 0:
	case header == fsm.ProxyV1:
		r.announce = announcesNobodyV1
	case header == fsm.ProxyV2:
		r.announce = announcesNobodyV2
	}
	switch check.Type {
	case fsm.CheckTCP:
		if len(check.Receive) > maxReceive {
			return nil, fmt.Errorf("check receive has %d bytes, at most %d are taken", len(check.Receive), maxReceive)
		}
		r.send, r.receive = []byte(check.Send), []byte(check.Receive)
		return r, r.useTLS()
	case fsm.CheckHTTP:
		return r, errors.Join(r.useTLS(), r.ask(userAgent), r.want())
	case fsm.CheckGRPC:
		r.userAgent = userAgent
		return r, errors.Join(r.useTLS(), checkHost(check.Host))
	}
	return nil, fmt.Errorf("check type %q is not known: use %q, %q or %q", check.Type, fsm.CheckTCP, fsm.CheckHTTP, fsm.CheckGRPC)
}

// useTLS takes no sessions up again: a check is to see the certificate that a
// new client would see.
func (r *recipe) useTLS() error {
	want := r.check.TLS
	if want == nil {
		return nil
	}
	r.tls = &tls.Config{ServerName: want.ServerName, InsecureSkipVerify: want.Insecure, MinVersion: tls.VersionTLS12}
	switch r.check.Type {
	case fsm.CheckHTTP:
		r.tls.NextProtos = []string{"http/1.1"}
	case fsm.CheckGRPC:
		r.tls.NextProtos = []string{alpnHTTP2}
	}
	if want.CA == "" {
		return nil
	}
	r.tls.RootCAs = x509.NewCertPool()
	if !r.tls.RootCAs.AppendCertsFromPEM([]byte(want.CA)) {
		return errors.New("check tls ca: holds no certificate in PEM")
	}
	return nil
}

// ask makes the request of an HTTP check.
func (r *recipe) ask(userAgent string) error {
	check := &r.check
	target, err := url.ParseRequestURI(cmp.Or(check.Path, "/"))
	if err != nil || target.Host != "" {
		return fmt.Errorf("check path %q: is not a path such as \"/healthz\"", check.Path)
	}
	method := cmp.Or(check.Method, http.MethodGet)
	if !slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPost}, method) {
		return fmt.Errorf("check method %q: is not one of GET, HEAD, OPTIONS, POST", method)
	}
	if err := checkHost(check.Host); err != nil {
		return err
	}
	r.target = *target
	r.target.Scheme = "http"
	if r.tls != nil {
		r.target.Scheme = "https"
	}
	r.before = method + " " + target.RequestURI() + " HTTP/1.1\r\nHost: "
	r.check.Method = method
	return r.fields(userAgent)
}

// checkHost refuses what cannot stand for a host in a request. Empty is allowed.
func checkHost(host string) error {
	if !isFieldValue(host) || strings.ContainsAny(host, " \t,/?#@") {
		return fmt.Errorf("check host %q: is not a host", host)
	}
	return nil
}

// fields makes the fields of the request behind Host.
func (r *recipe) fields(userAgent string) error {
	check := &r.check
	has := func(name string) bool {
		return slices.ContainsFunc(check.Fields, func(f fsm.CheckField) bool { return strings.EqualFold(f.Name, name) })
	}
	var after strings.Builder
	after.WriteString("\r\n")
	if !has("User-Agent") {
		after.WriteString("User-Agent: " + userAgent + "\r\n")
	}
	if !has("Accept") {
		after.WriteString("Accept: */*\r\n")
	}
	const closes = "Connection: close\r\n"
	after.WriteString(closes)
	if check.Method == http.MethodPost {
		after.WriteString("Content-Length: 0\r\n")
	}
	for _, field := range check.Fields {
		if !isToken(field.Name) || !isFieldValue(field.Value) || slices.Contains(ownFields, strings.ToLower(field.Name)) {
			return fmt.Errorf("check field %q: cannot be sent", field.Name)
		}
		after.WriteString(field.Name + ": " + field.Value + "\r\n")
	}
	after.WriteString("\r\n")
	r.after = after.String()
	r.afterKept = strings.Replace(r.after, closes, "", 1)
	// A POST must not be repeated, as one may have to be that met the end of its
	// connection (RFC 9110, section 9.2.2). TLS is spoken on the general way,
	// which keeps nothing.
	r.reuses = check.ReuseConnection && time.Duration(check.Interval) <= longestRest && check.Method != http.MethodPost && r.tls == nil
	return nil
}

// ownFields would contradict what the prober itself says of the request.
var ownFields = []string{"host", "connection", "content-length", "transfer-encoding", "upgrade", "expect"}

// want makes out what an HTTP check expects of the answer.
func (r *recipe) want() error {
	check := &r.check
	expect, err := fsm.ParseExpect(check.Expect)
	if err != nil {
		return fmt.Errorf("expected status: %w", err)
	}
	r.expect, r.expected, r.strict = expect, cmp.Or(check.Expect, fsm.DefaultExpect), check.Expect != ""
	r.text = []byte(check.ExpectText)
	if check.ExpectRegexp != "" {
		if r.pattern, err = regexp.Compile(check.ExpectRegexp); err != nil {
			return fmt.Errorf("expected regexp: %w", err)
		}
	}
	return nil
}

// prober returns the prober of one backend.
func (r *recipe) prober(address string) (Prober, error) {
	host, _, ok := fsm.SplitAddress(address)
	if ok && r.check.Port != 0 {
		address = net.JoinHostPort(host, strconv.Itoa(r.check.Port))
	}
	endpoints, err := newEndpoints(address, net.DefaultResolver)
	if err != nil {
		return nil, err
	}
	p := prober{recipe: r, endpoints: endpoints, config: r.tls}
	if r.check.Type != fsm.CheckGRPC && endpoints.host == "" && r.tls == nil && endpoints.last[0].Addr().Zone() == "" {
		p.direct = &line{to: endpoints.last[0], announce: r.announce, reuses: r.reuses, speaks: r.check.Type == fsm.CheckHTTP}
	}
	if r.tls != nil && r.tls.ServerName == "" {
		p.config = r.tls.Clone()
		p.config.ServerName = host
	}
	switch r.check.Type {
	case fsm.CheckTCP:
		return &tcpProber{p}, nil
	case fsm.CheckGRPC:
		return &grpcProber{p, cmp.Or(r.check.Host, address)}, nil
	}
	return &httpProber{p, cmp.Or(r.check.Host, address)}, nil
}

// recipes keeps one recipe per pool.
type recipes struct {
	userAgent string
	byPool    map[string]*recipe
}

// prober returns the prober of a pool's check for one of its backends.
func (r *recipes) prober(pool *fsm.Pool, address string) (Prober, error) {
	name, check, header := pool.Name, pool.Spec.Check, pool.Spec.ProxyProtocol
	known := r.byPool[name]
	if known == nil || known.header != header || known.source != check && !reflect.DeepEqual(known.source, check) {
		made, err := newRecipe(check, header, r.userAgent)
		if err != nil {
			return nil, err
		}
		known = made
		r.byPool[name] = made
	}
	return known.prober(address)
}

// forget drops the recipe of a pool that needs none any more.
func (r *recipes) forget(s *fsm.State, name string) {
	if pool := s.Pool(name); pool == nil || pool.Spec.Check == nil {
		delete(r.byPool, name)
	}
}

// isToken reports whether text can be the name of a field (RFC 9110, section
// 5.6.2).
func isToken[T string | []byte](text T) bool {
	for i := range len(text) {
		c := text[i]
		alphanumeric := c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9'
		if !alphanumeric && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return len(text) > 0
}

// isFieldValue reports whether text can be the value of a field (RFC 9110,
// section 5.5).
func isFieldValue[T string | []byte](text T) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
