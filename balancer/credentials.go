package balancer

import (
	"errors"
	"log/slog"
	"slices"
	"sync"

	"evenkeel/balancer/certificates"
	"evenkeel/fsm"
)

// Keys opens what the registry keeps sealed. Its methods may be called from any
// goroutine and do not block. An error says why it cannot be opened here, such as
// that this node lacks the secret.
type Keys interface {
	// PrivateKey returns the key of a certificate in PEM.
	PrivateKey(s *fsm.State, c *fsm.Certificate) (string, error)
	// TicketKeys returns the secrets of session tickets, the newest first.
	TicketKeys(s *fsm.State) ([][]byte, error)
}

// noKeys is a node that opens nothing.
type noKeys struct{}

func (noKeys) PrivateKey(*fsm.State, *fsm.Certificate) (string, error) {
	return "", errors.New("this node opens no keys")
}

func (noKeys) TicketKeys(*fsm.State) ([][]byte, error) {
	return nil, errors.New("this node opens no keys")
}

// setTLS has listeners and pools speak TLS as the registry says, where nobody else
// says how.
func (c *Config) setTLS() {
	keys := c.Keys
	if keys == nil {
		keys = noKeys{}
	}
	made := newCredentials(keys, c.Logger)
	if c.ListenerTLS == nil {
		c.ListenerTLS, c.listenerShows = made.listener, made.fault
	}
	if c.PoolTLS == nil {
		c.PoolTLS, c.poolShows = made.pool, made.fault
	}
}

// credentials read the registry's certificates and what is said of TLS. A
// certificate that did not change stays the same pointer, so that connections and
// sessions are left alone.
type credentials struct {
	keys   Keys
	logger *slog.Logger

	mu      sync.Mutex // guards what follows; event loops never take it
	state   *fsm.State // that the rest was read from
	opened  map[string]opened
	tickets [][]byte
	told    map[string]string // faults that were logged, by whose they are
}

// opened is a certificate with its key; parsed is nil if it is of no use here.
type opened struct {
	object *fsm.Certificate
	parsed *certificates.Certificate
	err    error // why parsed is nil
}

func newCredentials(keys Keys, logger *slog.Logger) *credentials {
	return &credentials{keys: keys, logger: logger, state: fsm.New(), opened: map[string]opened{}, told: map[string]string{}}
}

// listener is for [Config.ListenerTLS].
func (c *credentials) listener(s *fsm.State, object *fsm.Listener) (certificates.Settings, bool) {
	if object.Spec.Protocol != fsm.ProtocolHTTPS {
		return certificates.Settings{}, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.update(s)
	spec := object.Spec.EffectiveTLS()
	settings := certificates.Settings{
		Listener: object.Name, Certificates: c.shownBy(s, spec), MinVersion: spec.MinVersion, Policy: spec.Policy,
		RefuseUnknown: spec.UnknownName == fsm.UnknownNameRefuse, TicketKeys: c.tickets,
		Protocols: []string{certificates.HTTP2, certificates.HTTP1},
	}
	switch h := object.Spec.EffectiveHTTP2(); {
	case h.Disabled:
		settings.Protocols = settings.Protocols[1:]
	case h.Only:
		settings.Protocols = settings.Protocols[:1]
	}
	if auth := spec.ClientAuth; auth != nil {
		settings.ClientCA, settings.ClientMode = auth.CA, auth.Mode
	}
	return settings, true
}

// shownBy returns the certificates of a listener, the default first.
func (c *credentials) shownBy(s *fsm.State, spec fsm.ListenerTLS) []*certificates.Certificate {
	var shown []*certificates.Certificate
	add := func(name string) {
		if one := c.opened[name].parsed; one != nil {
			shown = append(shown, one)
		}
	}
	for _, name := range spec.Certificates {
		add(name)
	}
	if len(spec.Certificates) == 0 {
		for object := range s.Certificates() {
			add(object.Name)
		}
	}
	return shown
}

// pool is for [Config.PoolTLS].
func (c *credentials) pool(s *fsm.State, object *fsm.Pool) (certificates.UpstreamSettings, bool) {
	spec := object.Spec.TLS
	if spec == nil {
		return certificates.UpstreamSettings{}, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.update(s)
	settings := certificates.UpstreamSettings{
		Pool: object.Name, ServerName: spec.ServerName, CA: spec.CA, Certificate: c.opened[spec.Certificate].parsed, Insecure: spec.Insecure,
		Protocols: []string{certificates.HTTP1},
	}
	if object.Spec.EffectiveProtocol() == fsm.PoolHTTP2 {
		settings.Protocols = []string{certificates.HTTP2}
	}
	return settings, true
}

// update takes in another state. It costs what changed of certificates and keys.
func (c *credentials) update(s *fsm.State) {
	if s == c.state {
		return
	}
	rekeyed := c.state.DataKey() != s.DataKey()
	names, all := changedCertificates(c.state, s)
	if rekeyed || all {
		for name := range c.opened {
			names[name] = struct{}{}
		}
		for object := range s.Certificates() {
			names[object.Name] = struct{}{}
		}
	}
	for name := range names {
		c.open(s, name, rekeyed)
	}
	if rekeyed || !slices.Equal(c.state.Tickets(), s.Tickets()) {
		c.tickets = c.openTickets(s)
	}
	c.state = s
}

// changedCertificates returns the names of those that may differ; all if that is
// not known.
func changedCertificates(before, after *fsm.State) (names map[string]struct{}, all bool) {
	names = map[string]struct{}{}
	refs, known := after.ChangedSince(before.Version())
	if !known || before.Version() == 0 || before.ClusterID() != after.ClusterID() {
		return names, true
	}
	for _, ref := range refs {
		if ref.Kind == fsm.KindCertificate {
			names[ref.Name] = struct{}{}
		}
	}
	return names, false
}

// open reads a certificate anew, unless it is the same and could be read before.
func (c *credentials) open(s *fsm.State, name string, rekeyed bool) {
	object, last := s.Certificate(name), c.opened[name]
	switch {
	case object == nil:
		delete(c.opened, name)
		c.note("certificate "+name, nil, "")
		return
	case object == last.object && (last.parsed != nil || !rekeyed):
		return
	case last.parsed != nil && object.Spec == last.object.Spec: // its labels changed
		c.opened[name] = opened{object: object, parsed: last.parsed}
		return
	}
	key, err := c.keys.PrivateKey(s, object)
	var parsed *certificates.Certificate
	if err == nil {
		parsed, err = certificates.Parse(name, object.Spec.Chain, key)
	}
	c.note("certificate "+name, err, "certificate cannot be used on this node", "certificate", name)
	c.opened[name] = opened{object, parsed, err}
}

// fault returns why a certificate is of no use on this node, or nil.
func (c *credentials) fault(name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	one, known := c.opened[name]
	if !known {
		return errors.New("the registry has none of that name")
	}
	return one.err
}

func (c *credentials) openTickets(s *fsm.State) [][]byte {
	if len(s.Tickets()) == 0 {
		return nil
	}
	keys, err := c.keys.TicketKeys(s)
	c.note("tickets", err, "sessions of TLS are resumed on this node alone")
	return keys
}

// note logs a fault, once until it is another one.
func (c *credentials) note(of string, err error, message string, args ...any) {
	switch {
	case err == nil:
		delete(c.told, of)
	case c.told[of] != err.Error():
		c.told[of] = err.Error()
		c.logger.Error(message, append(args, "error", err)...)
	}
}
