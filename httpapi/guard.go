package httpapi

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"evenkeel/cluster/secret"
	"evenkeel/fsm"
	"evenkeel/httpapi/problem"
)

// guard decides who is who. Browsers are the reason for two of its rules: any
// page that a person opens can send requests to that person's loopback and
// network, so a foreign page is refused whatever it asks for.
type guard struct {
	logger *slog.Logger
	state  func() *fsm.State // of whose tokens those are that count
	// admin is the hash of the admin token, nil if there is none, and bootstrap
	// are those of the tokens that the cluster's secrets derive.
	admin     *[sha256.Size]byte
	bootstrap [][sha256.Size]byte
	// anonymous tells that who bears no token may do everything.
	anonymous bool
	// anyHost tells that the Host of a request does not matter.
	anyHost bool
	failed  func() // counts a login that failed
	limiter *logLimiter
	logins  *logins
}

func newGuard(config Config, failed func()) *guard {
	g := &guard{
		logger: config.Logger, state: config.Cluster.State, bootstrap: config.BootstrapTokens,
		failed: failed, limiter: newLogLimiter(10 * time.Second), logins: newLogins(),
	}
	if config.AdminToken != "" {
		hash := secret.HashToken(config.AdminToken)
		g.admin = &hash
	}
	g.anonymous = config.AdminToken == "" && !config.TokenNeeded
	g.anyHost = config.Insecure || !g.anonymous
	return g
}

func (g *guard) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sender, refusal := g.check(r)
		if refusal != nil {
			discard(r, maxDiscard)
			if err := refusal.Write(w); err != nil {
				g.logger.Debug("api answer not written", "path", r.URL.Path, "error", err)
			}
			return
		}
		next.ServeHTTP(w, r.WithContext(withPrincipal(r.Context(), sender)))
	})
}

func (g *guard) check(r *http.Request) (*principal, *problem.Problem) {
	if !g.anyHost && !hostIsPlain(r.Host) {
		return nil, problem.New(problem.ForeignHost, "host %q: an API without a token answers to IP addresses and localhost only", clip(r.Host))
	}
	if foreign := foreignOrigin(r); foreign != "" {
		return nil, problem.New(problem.ForeignOrigin, "%s: a page of another origin may not use this API", foreign)
	}
	remote := remoteHost(r)
	_, presents := r.Header["Authorization"]
	switch {
	case public(r.URL.Path):
		return &principal{}, nil
	case !presents && g.anonymous:
		return &principal{name: nameAnonymous, remote: remote, role: fsm.RoleAdmin}, nil
	case !presents:
		g.note(remote, r)
		return nil, unauthorized("the request bears no token")
	}
	sender, refusal := g.identify(r, remote)
	if refusal != nil {
		g.note(remote, r)
		return nil, refusal
	}
	sender.remote = remote
	return sender, nil
}

// identify finds out whose token the request bears.
//
// Tokens of 256 random bits are looked at first and always: nobody guesses one,
// so nobody who has one is held up by who fails from the same address. The admin
// token may be a word that a person chose, and is looked at as often as [logins]
// allows.
func (g *guard) identify(r *http.Request, remote string) (*principal, *problem.Problem) {
	hash := secret.HashToken(bearer(r))
	for _, known := range g.bootstrap {
		if subtle.ConstantTimeCompare(hash[:], known[:]) == 1 {
			return &principal{name: nameBootstrap, role: fsm.RoleAdmin}, nil
		}
	}
	token := g.state().TokenByHash(hex.EncodeToString(hash[:]))
	if token != nil && !expired(token) {
		return &principal{name: token.Name, role: token.Spec.Role, labels: token.Spec.Labels}, nil
	}
	from, _ := netip.ParseAddr(remote) // who has no address is one with all such
	if wait := g.logins.wait(from); wait > 0 {
		seconds := strconv.Itoa(int((wait + time.Second - 1) / time.Second))
		return nil, problem.New(problem.TooManyLogins, "too many tokens from this address were wrong: no other is looked at for now").With("Retry-After", seconds)
	}
	if g.admin != nil && subtle.ConstantTimeCompare(hash[:], g.admin[:]) == 1 {
		g.logins.succeeded(from)
		return &principal{name: nameAdmin, role: fsm.RoleAdmin}, nil
	}
	g.logins.failed(from)
	if token != nil {
		return nil, unauthorized("the token has expired")
	}
	return nil, unauthorized("the request bears no valid token")
}

func expired(token *fsm.Token) bool {
	return token.Spec.Expires != nil && !time.Now().Before(*token.Spec.Expires)
}

func unauthorized(detail string) *problem.Problem {
	return problem.New(problem.Unauthorized, "%s", detail).With("WWW-Authenticate", `Bearer realm="evenkeel"`)
}

// note counts a login that failed, and logs it if none was for a while.
func (g *guard) note(remote string, r *http.Request) {
	g.failed()
	if missed, ok := g.limiter.allow(); ok {
		g.logger.Warn("api login failed", "remote", remote, "path", clip(r.URL.Path), "more_since_last", missed)
	}
}

// public tells the paths that need no token: probes cannot hold one, and what
// the API looks like is no secret.
func public(path string) bool {
	return path == "/livez" || path == "/readyz" || path == "/v1/openapi.json" || strings.HasPrefix(path, problem.BasePath)
}

// bearer returns the token that the request bears, or "" for none. Only hashes of
// it are compared, so that neither time nor length tells anything about others. A
// field that is given more than once is one with commas (RFC 9110, 5.3), which are
// in no token: what stands before the API may have looked at another one of them.
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(strings.Join(r.Header.Values("Authorization"), ", "), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// hostIsPlain reports whether host is one that no name server decides about.
// A hostile site can let its own name resolve to 127.0.0.1 and is then of one
// origin with the API (DNS rebinding), but its name still stands in Host.
func hostIsPlain(host string) bool {
	if host == "" { // HTTP/1.0, which no browser speaks
		return true
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return true
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// foreignOrigin names the header field by which a request shows that a page
// of another origin sent it, or returns "".
func foreignOrigin(r *http.Request) string {
	for _, origin := range r.Header.Values("Origin") {
		if u, err := url.Parse(origin); err != nil || u.Host == "" || !strings.EqualFold(u.Host, r.Host) {
			return "Origin " + clip(origin)
		}
	}
	for _, site := range r.Header.Values("Sec-Fetch-Site") {
		if site = strings.ToLower(strings.TrimSpace(site)); site == "cross-site" || site == "same-site" {
			return "Sec-Fetch-Site " + site
		}
	}
	return ""
}

func remoteHost(r *http.Request) string {
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		return host
	}
	return "unknown"
}
