package httpapi

import (
	"container/list"
	"net/netip"
	"sync"
	"time"
)

// What failed logins cost. A token of the registry or of the secret cannot be
// guessed however often it is tried; this is for an admin token that a person
// chose.
const (
	// freeFailures may follow each other at any speed: a typing error and its
	// repetitions.
	freeFailures = 5
	// firstDelay follows the first failure after those, and each further one
	// doubles it up to maxDelay.
	firstDelay = 500 * time.Millisecond
	maxDelay   = 30 * time.Second
	// forgetAfter is how long an address is remembered after its last failure.
	forgetAfter = 15 * time.Minute
	// maxAddresses bounds the memory, some 200 bytes each. The address whose last
	// failure is the longest ago makes room.
	maxAddresses = 4096
)

// logins remembers from where wrong tokens came. It is safe for concurrent use.
type logins struct {
	mu    sync.Mutex // guards all below
	by    map[netip.Prefix]*list.Element
	order *list.List // of *loginFailures, the one that failed last in front
}

type loginFailures struct {
	from  netip.Prefix
	count int
	last  time.Time
	until time.Time // nothing from there is looked at before
}

func newLogins() *logins { return &logins{by: map[netip.Prefix]*list.Element{}, order: list.New()} }

// wait returns for how long no token from an address is looked at, 0 if one is.
func (l *logins) wait(from netip.Addr) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	element, known := l.by[neighbourhood(from)]
	if !known {
		return 0
	}
	return max(0, time.Until(element.Value.(*loginFailures).until))
}

// failed notes a wrong token.
func (l *logins) failed(from netip.Addr) {
	key, now := neighbourhood(from), time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	element, known := l.by[key]
	if !known {
		if l.order.Len() >= maxAddresses {
			delete(l.by, l.order.Remove(l.order.Back()).(*loginFailures).from)
		}
		element = l.order.PushFront(&loginFailures{from: key})
		l.by[key] = element
	}
	l.order.MoveToFront(element)
	f := element.Value.(*loginFailures)
	if now.Sub(f.last) > forgetAfter {
		f.count = 0
	}
	f.count++
	f.last = now
	if over := f.count - freeFailures; over > 0 {
		f.until = now.Add(min(firstDelay<<min(over-1, 10), maxDelay))
	}
}

// succeeded forgets an address: who has the admin token guesses no more.
func (l *logins) succeeded(from netip.Addr) {
	key := neighbourhood(from)
	l.mu.Lock()
	defer l.mu.Unlock()
	if element, known := l.by[key]; known {
		l.order.Remove(element)
		delete(l.by, key)
	}
}

// neighbourhood returns what one party has of addresses: one of IPv4, all of a
// /64 of IPv6, the whole loopback.
func neighbourhood(address netip.Addr) netip.Prefix {
	address = address.Unmap().WithZone("")
	bits := address.BitLen()
	switch {
	case address.Is4() && address.IsLoopback():
		bits = 8
	case address.Is6():
		bits = 64
	}
	prefix, err := address.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // of an address that is none: all such are one party
	}
	return prefix
}
