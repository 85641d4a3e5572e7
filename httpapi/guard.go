package httpapi

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"evenkeel/httpapi/problem"
)

// guard decides who may call. Browsers are the reason for two of its rules:
// any page that a person opens can send requests to that person's loopback and
// network, so a foreign page is refused whatever it asks for.
type guard struct {
	logger *slog.Logger
	// token is the hash of the admin token, nil when nobody is asked for one.
	token *[sha256.Size]byte
	// anyHost tells that the Host of a request does not matter.
	anyHost bool
	failed  func() // counts a login that failed
	limiter *logLimiter
}

func newGuard(config Config, failed func()) *guard {
	g := &guard{logger: config.Logger, failed: failed, limiter: newLogLimiter(10 * time.Second)}
	if config.AdminToken != "" {
		hash := sha256.Sum256([]byte(config.AdminToken))
		g.token = &hash
	}
	g.anyHost = config.Insecure || g.token != nil
	return g
}

type actorKey struct{}

// actor returns who sent the request, as the registry records it.
func actor(r *http.Request) string {
	name, _ := r.Context().Value(actorKey{}).(string)
	return name
}

func (g *guard) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, refusal := g.check(r)
		if refusal != nil {
			if err := refusal.Write(w); err != nil {
				g.logger.Debug("api answer not written", "path", r.URL.Path, "error", err)
			}
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), actorKey{}, name)))
	})
}

func (g *guard) check(r *http.Request) (string, *problem.Problem) {
	if !g.anyHost && !hostIsPlain(r.Host) {
		return "", problem.New(problem.ForeignHost, "host %q: an API without a token answers to IP addresses and localhost only", clip(r.Host))
	}
	if foreign := foreignOrigin(r); foreign != "" {
		return "", problem.New(problem.ForeignOrigin, "%s: a page of another origin may not use this API", foreign)
	}
	remote := remoteHost(r)
	if g.token == nil {
		return "anonymous@" + remote, nil
	}
	if public(r.URL.Path) {
		return "", nil
	}
	if !g.holdsToken(r) {
		g.failed()
		if missed, ok := g.limiter.allow(); ok {
			g.logger.Warn("api login failed", "remote", remote, "path", clip(r.URL.Path), "more_since_last", missed)
		}
		return "", problem.New(problem.Unauthorized, "the request bears no valid token").With("WWW-Authenticate", `Bearer realm="evenkeel"`)
	}
	return "admin@" + remote, nil
}

// public tells the paths that need no token: probes cannot hold one, and what
// the API looks like is no secret.
func public(path string) bool {
	return path == "/livez" || path == "/readyz" || path == "/v1/openapi.json" || strings.HasPrefix(path, problem.BasePath)
}

// holdsToken compares hashes, so that neither time nor length tells anything
// about the token.
func (g *guard) holdsToken(r *http.Request) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	hash := sha256.Sum256([]byte(strings.TrimSpace(token)))
	same := subtle.ConstantTimeCompare(hash[:], g.token[:]) == 1
	return same && strings.EqualFold(scheme, "Bearer")
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
