package balancer

import (
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"evenkeel/balancer/certificates"
	"evenkeel/balancer/engine"
	"evenkeel/fsm"
)

const (
	// expiresSoon is how long before its end a certificate is warned of: whoever
	// renews by a program does it at a third of 90 days.
	expiresSoon = 14 * 24 * time.Hour
	// expiryLook is how often certificates are looked at, at most.
	expiryLook = time.Minute
)

// secure makes of what Config.ListenerTLS and Config.PoolTLS say what connections
// go by, anew only where something changed. One goroutine makes tables, and others
// open listeners and ask; mu is for all.
type secure struct {
	config  *Config
	engine  *engine.Engine
	stapler *certificates.Stapler

	mu        sync.Mutex // guards the fields below
	listeners map[string]*listenerTLS
	pools     map[string]*poolTLS
	told      map[string]string // the faults of certificates that were logged, by name
	looked    time.Time
}

// listenerTLS is how a listener speaks TLS, and what that was made of.
type listenerTLS struct {
	settings certificates.Settings
	made     *engine.ListenerTLS
}

type poolTLS struct {
	settings certificates.UpstreamSettings
	made     *certificates.Upstream
}

func newSecure(config *Config) *secure {
	return &secure{
		config: config, stapler: certificates.NewStapler(config.Logger),
		listeners: map[string]*listenerTLS{}, pools: map[string]*poolTLS{}, told: map[string]string{},
	}
}

// listener is for [engine.Config].TLS. What cannot be made is logged, and what was
// there before stays; without that every handshake is refused, for a listener of
// TLS does not speak plain text by mistake.
func (s *secure) listener(state *fsm.State, object *fsm.Listener) *engine.ListenerTLS {
	settings, ok := s.config.ListenerTLS(state, object)
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.listeners[object.Name]
	switch {
	case !ok:
		if last != nil {
			delete(s.listeners, object.Name)
			s.follow()
		}
		return nil
	case last != nil && last.settings.Equal(settings):
		return last.made
	}
	next := &listenerTLS{settings: settings}
	config, err := certificates.Server(settings)
	switch {
	case err == nil:
		next.made = s.engine.NewListenerTLS(config)
	case last != nil:
		next.made = last.made
	default:
		if config, none := certificates.Server(certificates.Settings{Listener: object.Name}); none == nil {
			next.made = s.engine.NewListenerTLS(config)
		}
	}
	if err != nil {
		s.config.Logger.Error("listener cannot speak TLS as it is told", "listener", object.Name, "error", err)
	}
	s.listeners[object.Name] = next
	s.follow()
	return next.made
}

// pool is for [table.Options].TLS.
func (s *secure) pool(state *fsm.State, object *fsm.Pool) *certificates.Upstream {
	settings, ok := s.config.PoolTLS(state, object)
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.pools[object.Name]
	switch {
	case !ok:
		delete(s.pools, object.Name)
		return nil
	case last != nil && last.settings.Equal(settings):
		return last.made
	}
	next := &poolTLS{settings: settings}
	var err error
	if next.made, err = certificates.NewUpstream(settings); err != nil {
		s.config.Logger.Error("backends cannot be spoken to by TLS as the pool says", "pool", object.Name, "error", err)
		next.made = certificates.NoUpstream()
		if last != nil {
			next.made = last.made
		}
	}
	s.pools[object.Name] = next
	return next.made
}

// follow has staples fetched for what is in use. mu is held.
func (s *secure) follow() {
	s.stapler.Follow(s.inUse())
	s.looked = time.Time{}
}

// inUse are the certificates of all listeners, in the order of their names. mu is
// held.
func (s *secure) inUse() []*certificates.Certificate {
	all := map[*certificates.Certificate]struct{}{}
	for _, l := range s.listeners {
		for _, c := range l.settings.Certificates {
			all[c] = struct{}{}
		}
	}
	return slices.SortedFunc(maps.Keys(all), func(a, b *certificates.Certificate) int { return strings.Compare(a.Name, b.Name) })
}

// forget drops what belongs to listeners and pools that the registry has no more.
// mu is held.
func (s *secure) forget(state *fsm.State) {
	listeners := len(s.listeners)
	maps.DeleteFunc(s.listeners, func(name string, _ *listenerTLS) bool { return state.Listener(name) == nil })
	maps.DeleteFunc(s.pools, func(name string, _ *poolTLS) bool { return state.Pool(name) == nil })
	if len(s.listeners) < listeners {
		s.follow()
	}
}

// look warns of certificates that are of no use, or soon will be: once for each
// fault.
func (s *secure) look(state *fsm.State, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(state)
	if now.Sub(s.looked) < expiryLook {
		return
	}
	s.looked = now
	still := map[string]string{}
	for _, c := range s.inUse() {
		fault := ""
		if faults := c.Faults(now); len(faults) > 0 {
			fault = faults[0].Kind
		} else if c.NotAfter.Sub(now) < expiresSoon {
			fault = "expires soon"
		}
		if fault != "" && s.told[c.Name] != fault {
			s.config.Logger.Warn("certificate has to be replaced", "certificate", c.Name, "fault", fault,
				slog.Time("not_after", c.NotAfter), "names", c.Names)
		}
		still[c.Name] = fault
	}
	s.told = still
}

// CertificateStatus is how a certificate is that this node shows.
type CertificateStatus struct {
	Name     string    `json:"name"`
	Names    []string  `json:"names"`
	NotAfter time.Time `json:"not_after"`
	// Faults are those of package certificates: why it is of no use now.
	Faults []string `json:"faults,omitempty"`
}

// Certificates tells how the certificates of this node's listeners are, in the
// order of their names.
func (b *Balancer) Certificates() []CertificateStatus {
	s := b.secure
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []CertificateStatus
	for _, c := range s.inUse() {
		status := CertificateStatus{Name: c.Name, Names: c.Names, NotAfter: c.NotAfter}
		for _, fault := range c.Faults(time.Now()) {
			status.Faults = append(status.Faults, fault.Kind)
		}
		all = append(all, status)
	}
	return all
}
