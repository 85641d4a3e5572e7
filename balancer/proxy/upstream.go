package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"evenkeel/balancer/table"
)

// upstreams holds the connections to each backend, one [upstream] per
// registration and address, so that those of a removed backend can be dropped
// and no backend's traffic meets another's lock.
type upstreams struct {
	limits *limits
	byID   sync.Map // *table.Stats, which is the backend's identity → *upstream
}

// upstream is the way to one backend.
type upstream struct {
	address   string
	transport *http.Transport
	dialer    net.Dialer
	limits    *limits
	// backend is how the newest table knows it: its addresses may change.
	backend atomic.Pointer[table.Backend]
	// retired is set when the backend is gone. Who still uses the upstream then
	// sees to it that no idle connection stays behind.
	retired atomic.Bool
}

// of returns the upstream for a backend, and whether it was made for this call.
func (us *upstreams) of(b *table.Backend) (u *upstream, created bool) {
	known, ok := us.byID.Load(b.Stats)
	if ok && known.(*upstream).address == b.Address {
		u = known.(*upstream)
		if u.backend.Load() != b {
			u.backend.Store(b)
		}
		return u, false
	}
	u = us.new(b)
	if !ok {
		if known, ok = us.byID.LoadOrStore(b.Stats, u); !ok {
			return u, true
		}
		if known.(*upstream).address == b.Address {
			return known.(*upstream), false
		}
	}
	// The address changed, or b is of a table from before it did.
	if us.byID.CompareAndSwap(b.Stats, known, u) {
		known.(*upstream).retire()
	} else {
		u.retire()
	}
	return u, true
}

func (us *upstreams) new(b *table.Backend) *upstream {
	u := &upstream{address: b.Address, limits: us.limits}
	u.dialer = net.Dialer{Timeout: us.limits.connect}
	u.backend.Store(b)
	u.transport = &http.Transport{
		// No Proxy: the environment has no say in where requests go.
		DialContext:            u.dial,
		DisableCompression:     true, // bodies pass as they are
		MaxIdleConnsPerHost:    us.limits.backendIdleConns,
		IdleConnTimeout:        us.limits.backendIdle,
		ResponseHeaderTimeout:  us.limits.responseHead,
		ExpectContinueTimeout:  us.limits.expectContinue,
		MaxResponseHeaderBytes: us.limits.responseHeadBytes,
		Protocols:              new(http.Protocols),
	}
	u.transport.Protocols.SetHTTP1(true)
	return u
}

// drop forgets a backend that is gone.
func (us *upstreams) drop(id *table.Stats) {
	if u, ok := us.byID.LoadAndDelete(id); ok {
		u.(*upstream).retire()
	}
}

// forget takes one upstream back that [upstreams.of] made for a backend that is
// gone. Its present user goes on with it.
func (us *upstreams) forget(id *table.Stats, u *upstream) {
	us.byID.CompareAndDelete(id, u)
	u.retire()
}

// refresh closes the idle connections of a backend that was declared down: if
// its machine vanished, they lead nowhere, and nobody would notice until they
// are used.
func (us *upstreams) refresh(id *table.Stats) {
	if u, ok := us.byID.Load(id); ok {
		u.(*upstream).transport.CloseIdleConnections()
	}
}

func (us *upstreams) close() {
	for id := range us.byID.Range {
		us.drop(id.(*table.Stats))
	}
}

func (u *upstream) retire() {
	u.retired.Store(true)
	u.transport.CloseIdleConnections()
}

// released is called after each use.
func (u *upstream) released() {
	if u.retired.Load() {
		u.transport.CloseIdleConnections()
	}
}

// dialError is a connect that failed: nothing was sent to the backend.
type dialError struct {
	backend string
	err     error
}

func (e *dialError) Error() string {
	return fmt.Sprintf("connect to backend %q: %v", e.backend, e.err)
}

func (e *dialError) Unwrap() error { return e.err }

// dial tries the addresses of the backend, beginning with the one whose turn it
// is, until one answers or the time for connects is over, and counts one failure
// if none did.
func (u *upstream) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	b, began := u.backend.Load(), time.Now()
	var faults []error
	for _, endpoint := range inTurn(b) {
		conn, err := u.dialer.DialContext(ctx, "tcp", endpoint.String())
		if err == nil {
			return newBackendConn(conn, u.limits.stream), nil
		}
		faults = append(faults, err)
		if ctx.Err() != nil || time.Since(began) >= u.limits.connectAll {
			break
		}
	}
	err := errors.Join(faults...)
	if len(faults) == 0 {
		err = errors.New("its host name has no address yet")
	}
	if ctx.Err() == nil && !isOwnFault(err) {
		b.Stats.ConnectFailures.Add(1)
	}
	return nil, &dialError{backend: b.Pool + "/" + b.Name, err: err}
}

func inTurn(b *table.Backend) []netip.AddrPort {
	first, ok := b.Endpoint()
	if !ok {
		return nil
	}
	order := []netip.AddrPort{first}
	for _, endpoint := range b.Endpoints() {
		if endpoint != first {
			order = append(order, endpoint)
		}
	}
	return order
}

// isOwnFault tells whether a connect failed for want of something on this node
// (descriptors, ports, buffers, memory), which says nothing about the backend.
func isOwnFault(err error) bool {
	for _, own := range []syscall.Errno{
		syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL, syscall.ENOBUFS, syscall.ENOMEM,
	} {
		if errors.Is(err, own) {
			return true
		}
	}
	return false
}
