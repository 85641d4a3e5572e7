package client

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// The defaults of a [Config].
const (
	// DefaultTimeout is longer than the 9 s for which a node repeats a write
	// whose outcome it does not know.
	DefaultTimeout = 15 * time.Second
	// DefaultPatience outlasts an election.
	DefaultPatience = 3 * time.Second
	// DefaultMaxAnswer bounds an answer: a list of 100,000 backends has some
	// 60 MB.
	DefaultMaxAnswer = 256 << 20
)

// connectTimeout bounds one attempt to connect.
const connectTimeout = 3 * time.Second

// Config is whom a client asks, and how.
type Config struct {
	// Bases are nodes' API addresses as HOST:PORT, HOST or a URL, tried in turn.
	// At least one.
	Bases []string
	// Token is the bearer token; empty: none is sent.
	Token string
	// HTTP makes the requests. If nil the client makes connections of its own,
	// over TLS as TLS says where a base is https. HTTP's Timeout must be 0, since
	// it would end a watch; Timeout below takes its place.
	HTTP *http.Client
	// TLS is for the client's own connections; nil: the system's authorities.
	TLS *tls.Config
	// Timeout bounds one request at one node, its answer included, and does not
	// count what the request itself tells the node to wait. 0: [DefaultTimeout].
	Timeout time.Duration
	// Patience is how long is tried again what the cluster refuses for want of a
	// leader. 0: [DefaultPatience]; below 0: not at all.
	Patience time.Duration
	// MaxAnswer bounds an answer in bytes. 0: [DefaultMaxAnswer].
	MaxAnswer int64
	// UserAgent names the program. Empty: "evenkeel-client".
	UserAgent string
	// Notice is told, in words for people, why something takes longer; nil: no
	// one is. It is called from whoever calls the client, so concurrently if the
	// client is.
	Notice func(text string)
}

// Client asks the nodes of a cluster. All its methods may be called
// concurrently.
type Client struct {
	config Config
	bases  []string
	// first is the index of the base that is asked first.
	first *atomic.Uint32
	// silence is how long a stream may be silent.
	silence time.Duration
}

// New returns a client. It connects to nothing yet. The error names what is
// wrong with the config.
func New(config Config) (*Client, error) {
	bases, err := ParseBases(strings.Join(config.Bases, ","))
	if err != nil {
		return nil, err
	}
	switch {
	case config.Timeout < 0:
		return nil, fmt.Errorf("timeout %s is no time to wait; give one such as %s", config.Timeout, DefaultTimeout)
	case config.HTTP != nil && config.TLS != nil:
		return nil, errors.New("the config has both HTTP and TLS: give TLS to the transport of HTTP")
	case config.HTTP != nil && config.HTTP.Timeout != 0:
		return nil, fmt.Errorf("the Timeout %s of the config's HTTP would end a watch: leave it 0, and set the config's own", config.HTTP.Timeout)
	case config.MaxAnswer < 0:
		return nil, fmt.Errorf("the bound of an answer, %d bytes, is below 0", config.MaxAnswer)
	case strings.ContainsFunc(config.Token, isNoTokenRune):
		return nil, errors.New("the token has characters that no token has: look for a stray line break or space in it")
	}
	config.setDefaults()
	return &Client{config: config, bases: bases, first: new(atomic.Uint32), silence: maxSilence}, nil
}

// isNoTokenRune tells what cannot stand in a header field.
func isNoTokenRune(r rune) bool { return r <= ' ' || r >= 0x7f }

func (c *Config) setDefaults() {
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Patience == 0 {
		c.Patience = DefaultPatience
	}
	if c.MaxAnswer == 0 {
		c.MaxAnswer = DefaultMaxAnswer
	}
	if c.UserAgent == "" {
		c.UserAgent = "evenkeel-client"
	}
	if c.Notice == nil {
		c.Notice = func(string) {}
	}
	own := http.Client{}
	if c.HTTP != nil {
		own = *c.HTTP
	} else {
		own.Transport = c.transport()
	}
	// A redirect would take the token elsewhere, and a node sends none.
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.HTTP = &own
}

func (c *Config) transport() *http.Transport {
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: min(c.Timeout, connectTimeout)}).DialContext,
		TLSClientConfig:     c.TLS,
		TLSHandshakeTimeout: c.Timeout,
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     60 * time.Second,
		ForceAttemptHTTP2:   true,
	}
}

// Close ends the connections that no request uses. The client stays usable.
func (c *Client) Close() { c.config.HTTP.CloseIdleConnections() }

// At returns a client that asks one node only, for answers that have to be of
// the same node: base is an [Answer.Base].
func (c *Client) At(base string) *Client {
	return &Client{config: c.config, bases: []string{base}, first: new(atomic.Uint32), silence: c.silence}
}

// turn returns the bases, the one to ask first in front.
func (c *Client) turn() []string {
	at := int(c.first.Load()) % len(c.bases)
	return slices.Concat(c.bases[at:], c.bases[:at])
}

// leave makes another base than this one the first to be asked, unless
// somebody did so already.
func (c *Client) leave(base string) {
	at := c.first.Load()
	if c.bases[int(at)%len(c.bases)] == base {
		c.first.CompareAndSwap(at, (at+1)%uint32(len(c.bases)))
	}
}
