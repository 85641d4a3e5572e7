package balancer

import (
	"errors"
	"fmt"
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
	changed chan struct{} // has one after other certificates came into use

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
	err      error // why made is not what settings say
	refuses  bool  // made refuses every handshake
}

type poolTLS struct {
	settings certificates.UpstreamSettings
	made     *certificates.Upstream
	err      error // why made is not what settings say
}

func newSecure(config *Config) *secure {
	return &secure{
		config: config, stapler: certificates.NewStapler(config.Logger), changed: make(chan struct{}, 1),
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
		next.made, next.refuses = s.engine.NewListenerTLS(config), len(settings.Certificates) == 0
	case last != nil:
		next.made, next.refuses = last.made, last.refuses
	default:
		next.refuses = true
		if config, none := certificates.Server(certificates.Settings{Listener: object.Name}); none == nil {
			next.made = s.engine.NewListenerTLS(config)
		}
	}
	if next.err = err; err != nil {
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
		next.made, next.err = certificates.NoUpstream(), err
		if last != nil {
			next.made = last.made
		}
	}
	s.pools[object.Name] = next
	return next.made
}

// follow has staples fetched for what is in use, and that looked at soon. mu is held.
func (s *secure) follow() {
	s.stapler.Follow(s.inUse())
	s.looked = time.Time{}
	select {
	case s.changed <- struct{}{}:
	default: // a look is due already
	}
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
	unasked := s.unasked(state)
	for _, c := range s.inUse() {
		fault := ""
		if faults := c.Faults(now, unasked[c]...); len(faults) > 0 {
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

// unasked are the certificates for none of the hosts of any listener that shows them,
// each with one of those hosts; not those that are also for backends. mu is held.
func (s *secure) unasked(state *fsm.State) map[*certificates.Certificate][]string {
	hosts, asked := map[*certificates.Certificate][]string{}, map[*certificates.Certificate]bool{}
	for name, names := range state.ServerNames(nil) {
		l := s.listeners[name]
		if l == nil {
			continue
		}
		known := names.Asked()
		for _, c := range l.settings.Certificates {
			switch {
			case asked[c]:
			case names.Any || slices.ContainsFunc(c.Names, known.For):
				asked[c] = true
			case len(names.Names) > 0:
				hosts[c] = names.Names[:1]
			}
		}
	}
	for _, p := range s.pools {
		asked[p.settings.Certificate] = true
	}
	maps.DeleteFunc(hosts, func(c *certificates.Certificate, _ []string) bool { return asked[c] })
	return hosts
}

// listenerFault returns why a listener that is of protocol https does not speak TLS as
// the registry says, and whether it refuses all handshakes for that.
func (s *secure) listenerFault(state *fsm.State, object *fsm.Listener) (refuses bool, fault error) {
	s.mu.Lock()
	l := s.listeners[object.Name]
	s.mu.Unlock()
	if l == nil {
		return false, nil
	}
	faults := []error{l.err}
	if s.config.listenerShows == nil {
		return l.refuses, joined(faults)
	}
	wanted := object.Spec.EffectiveTLS().Certificates
	if object.Spec.ShowsAll() {
		for c := range state.Certificates() {
			wanted = append(wanted, c.Name)
		}
	}
	left := 0
	for _, name := range wanted {
		err := s.config.listenerShows(name)
		switch {
		case err == nil:
		case len(faults) <= maxFaultsTold:
			faults = append(faults, fmt.Errorf("certificate %q cannot be shown: %w", name, err))
		default:
			left++
		}
	}
	if left > 0 {
		faults = append(faults, fmt.Errorf("nor can %d more", left))
	}
	if len(wanted) == 0 {
		faults = append(faults, errors.New("there is no certificate to show: write one, PUT /v1/certificates/NAME"))
	}
	return l.refuses, joined(faults)
}

// maxFaultsTold bounds how many certificates a fault names.
const maxFaultsTold = 3

// joined is errors.Join on one line.
func joined(faults []error) error {
	var texts []string
	for _, fault := range faults {
		if fault != nil {
			texts = append(texts, fault.Error())
		}
	}
	if len(texts) == 0 {
		return nil
	}
	return errors.New(strings.Join(texts, "; "))
}

// poolFaults returns why pools do not speak TLS to their backends as the registry
// says, by pool.
func (s *secure) poolFaults(state *fsm.State) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]string{}
	for name, p := range s.pools {
		faults := []error{p.err}
		if object := state.Pool(name); object != nil && object.Spec.TLS != nil && object.Spec.TLS.Certificate != "" && s.config.poolShows != nil {
			shown := object.Spec.TLS.Certificate
			if err := s.config.poolShows(shown); err != nil {
				faults = append(faults, fmt.Errorf("certificate %q cannot be shown to backends: %w", shown, err))
			}
		}
		if fault := joined(faults); fault != nil {
			all[name] = fault.Error()
		}
	}
	return all
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
