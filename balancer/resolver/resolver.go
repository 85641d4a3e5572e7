// Package resolver keeps the addresses of backends' host names up to date in
// the background, so that the data path never waits for DNS.
//
// It owns when names are resolved and what is kept of the answers. It refuses
// to own how a name is resolved, which is the system's resolver or whatever it
// is given, and what the addresses are used for.
package resolver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Interval is the time from one answer for a name to the next question. Go's
// resolver does not tell the records' TTL, so that it cannot follow that.
const Interval = 5 * time.Second

const (
	// timeout bounds one question, whose answer is worthless after Interval.
	timeout = Interval
	// concurrency bounds the questions in flight, and with them the memory and
	// descriptors that a dead DNS server costs.
	concurrency = 32
)

// Lookup resolves a host name to all of its A and AAAA records. It is called
// from several goroutines and must return soon after ctx is done.
type Lookup func(ctx context.Context, host string) ([]netip.Addr, error)

// Resolver holds the last answers. Its methods may be called from any
// goroutine and do not block; only Run resolves anything.
type Resolver struct {
	lookup Lookup
	logger *slog.Logger
	wake   chan struct{} // names were added
	news   chan struct{}

	mu      sync.Mutex // guards the fields below, and those of all names
	names   map[string]*name
	fresh   []*name // never asked
	asked   []*name // in the order in which they are due
	changed map[string]struct{}
}

// name is a host name that somebody uses.
type name struct {
	host      string
	addrs     []netip.Addr // sorted; replaced, never changed
	due       time.Time
	last      outcome
	forgotten bool
}

// outcome is what came of the last question about a name.
type outcome int

const (
	unasked outcome = iota
	succeeded
	failed
)

// New returns a resolver that asks lookup; nil means the system's resolver.
func New(lookup Lookup, logger *slog.Logger) *Resolver {
	if lookup == nil {
		lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	return &Resolver{
		lookup:  lookup,
		logger:  logger,
		wake:    make(chan struct{}, 1),
		news:    make(chan struct{}, 1),
		names:   map[string]*name{},
		changed: map[string]struct{}{},
	}
}

// Lookup returns the addresses that the name had when it was last resolved
// with success; none before that. The slice must not be changed. The first
// call makes the name known: it is resolved at once and then every [Interval],
// until [Resolver.Forget].
func (r *Resolver) Lookup(host string) []netip.Addr {
	r.mu.Lock()
	defer r.mu.Unlock()
	if known := r.names[host]; known != nil {
		return known.addrs
	}
	added := &name{host: host}
	r.names[host] = added
	r.fresh = append(r.fresh, added)
	signal(r.wake)
	return nil
}

// Forget stops resolving the name.
func (r *Resolver) Forget(host string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if known := r.names[host]; known != nil {
		known.forgotten = true
		delete(r.names, host)
		delete(r.changed, host)
	}
}

// News carries a signal after the addresses of any name changed; several
// changes may share one. [Resolver.Changed] says which.
func (r *Resolver) News() <-chan struct{} { return r.news }

// Changed returns the names whose addresses changed since the last call.
func (r *Resolver) Changed() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.changed) == 0 {
		return nil
	}
	hosts := make([]string, 0, len(r.changed))
	for host := range r.changed {
		hosts = append(hosts, host)
	}
	clear(r.changed)
	return hosts
}

// Run resolves until ctx is done, and returns after its last goroutine did. It
// is to be called once.
func (r *Resolver) Run(ctx context.Context) error {
	var questions sync.WaitGroup
	defer questions.Wait()
	slots := make(chan struct{}, concurrency)
	for {
		due, wait := r.next(time.Now())
		if due == nil {
			if !r.sleep(ctx, wait) {
				return nil
			}
			continue
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		questions.Go(func() {
			r.resolve(ctx, due)
			<-slots
		})
	}
}

// sleep waits for the time to pass or for a new name, and is false if ctx
// ended.
func (r *Resolver) sleep(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.wake:
		return true
	case <-ctx.Done():
		return false
	}
}

// next takes the name to resolve now, or tells how long to wait. All names wait
// the same time, so those that were asked stand in the order in which they are
// due.
func (r *Resolver) next(now time.Time) (*name, time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.fresh) > 0 {
		first := r.fresh[0]
		r.fresh = r.fresh[1:]
		if !first.forgotten {
			return first, 0
		}
	}
	for len(r.asked) > 0 {
		first := r.asked[0]
		if wait := first.due.Sub(now); wait > 0 && !first.forgotten {
			return nil, wait
		}
		r.asked = r.asked[1:]
		if !first.forgotten {
			return first, 0
		}
	}
	return nil, Interval
}

func (r *Resolver) resolve(ctx context.Context, n *name) {
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	addrs, err := r.lookup(limited, n.host)
	if ctx.Err() != nil {
		return // the failure is our own end
	}
	if err == nil && len(addrs) == 0 {
		err = errors.New("no A or AAAA record")
	}
	switch was, is := r.record(n, normalise(addrs), err); {
	case is == failed && was != failed:
		r.logger.Warn("host name of a backend does not resolve, addresses it had before stay in use",
			"host", n.host, "error", fmt.Errorf("resolve %q: %w", n.host, err))
	case is == succeeded && was == failed:
		r.logger.Info("host name of a backend resolves again", "host", n.host, "addresses", len(addrs))
	}
}

// record takes in an answer. After an error the last answer stays: a DNS
// server that is down must not take down what it once pointed to.
func (r *Resolver) record(n *name, addrs []netip.Addr, err error) (was, is outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	was = n.last
	if n.forgotten {
		return was, was
	}
	n.due = time.Now().Add(Interval)
	r.asked = append(r.asked, n)
	if err != nil {
		n.last = failed
		return was, failed
	}
	n.last = succeeded
	if !slices.Equal(addrs, n.addrs) {
		n.addrs = addrs
		r.changed[n.host] = struct{}{}
		signal(r.news)
	}
	return was, succeeded
}

// normalise makes equal sets of addresses equal slices.
func normalise(addrs []netip.Addr) []netip.Addr {
	unique := make([]netip.Addr, len(addrs))
	for i, addr := range addrs {
		unique[i] = addr.Unmap()
	}
	slices.SortFunc(unique, netip.Addr.Compare)
	return slices.Compact(unique)
}

// signal leaves a mark for the reader unless one is there already.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
