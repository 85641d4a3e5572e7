package resolver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// zone is a fake DNS.
type zone struct {
	mu      sync.Mutex // guards the fields below
	records map[string][]netip.Addr
	broken  error
	asked   map[string]int
	delay   time.Duration // how long an answer takes; longer than any context lives if negative
	now     int           // questions in flight
	most    int
}

func newZone() *zone {
	return &zone{records: map[string][]netip.Addr{}, asked: map[string]int{}}
}

func (z *zone) set(host string, addrs ...string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.records[host] = nil
	for _, addr := range addrs {
		z.records[host] = append(z.records[host], netip.MustParseAddr(addr))
	}
}

func (z *zone) breakWith(err error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.broken = err
}

func (z *zone) questions(host string) int {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.asked[host]
}

func (z *zone) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	z.mu.Lock()
	z.asked[host]++
	z.now++
	z.most = max(z.most, z.now)
	delay := z.delay
	z.mu.Unlock()
	defer func() {
		z.mu.Lock()
		z.now--
		z.mu.Unlock()
	}()
	if delay < 0 {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.records[host], z.broken
}

// start runs a resolver over the zone until the test ends, in the bubble of
// the test.
func start(t *testing.T, z *zone, log *bytes.Buffer) *Resolver {
	logger := slog.New(slog.DiscardHandler)
	if log != nil {
		logger = slog.New(slog.NewTextHandler(log, nil))
	}
	r := New(z.lookup, logger)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run ended with %v", err)
		}
		z.mu.Lock()
		defer z.mu.Unlock()
		if z.now != 0 {
			t.Errorf("Run returned before %d of its questions did", z.now)
		}
	})
	return r
}

func texts(addrs []netip.Addr) []string {
	var all []string
	for _, addr := range addrs {
		all = append(all, addr.String())
	}
	return all
}

// hasNews takes a signal if there is one.
func hasNews(r *Resolver) bool {
	select {
	case <-r.News():
		return true
	default:
		return false
	}
}

func TestNameIsResolvedAtOnceAndSignalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone()
		z.set("web.example", "10.0.0.2", "2001:db8::1", "10.0.0.1", "::ffff:10.0.0.2")
		r := start(t, z, nil)
		if got := r.Lookup("web.example"); got != nil {
			t.Fatalf("the first call answers %v", got)
		}
		synctest.Wait()
		if !hasNews(r) {
			t.Error("the answer was not signalled")
		}
		if got := r.Changed(); !slices.Equal(got, []string{"web.example"}) {
			t.Errorf("changed: %v", got)
		}
		if got := r.Changed(); got != nil {
			t.Errorf("the same change is reported again: %v", got)
		}
		if got := texts(r.Lookup("web.example")); !slices.Equal(got, []string{"10.0.0.1", "10.0.0.2", "2001:db8::1"}) {
			t.Errorf("addresses: %v", got)
		}
	})
}

func TestNameIsResolvedAgainEveryInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone()
		z.set("web.example", "10.0.0.1")
		r := start(t, z, nil)
		r.Lookup("web.example")
		synctest.Wait()
		hasNews(r)
		r.Changed()

		time.Sleep(3*Interval + Interval/2)
		synctest.Wait()
		if got := z.questions("web.example"); got != 4 {
			t.Errorf("asked %d times in three intervals and a half, want 4", got)
		}
		if hasNews(r) || r.Changed() != nil {
			t.Error("the same answer counts as news")
		}

		z.set("web.example", "10.0.0.1", "10.0.0.2")
		time.Sleep(Interval)
		synctest.Wait()
		if got := texts(r.Lookup("web.example")); !slices.Equal(got, []string{"10.0.0.1", "10.0.0.2"}) || !hasNews(r) {
			t.Errorf("after a change the addresses are %v", got)
		}
	})
}

func TestLastAnswerIsKeptOnFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z, log := newZone(), new(bytes.Buffer)
		z.set("web.example", "10.0.0.1")
		r := start(t, z, log)
		r.Lookup("web.example")
		synctest.Wait()
		hasNews(r)

		for _, broken := range []error{errors.New("no such host"), nil} {
			z.breakWith(broken)
			z.set("web.example") // and if it does answer, then with nothing
			time.Sleep(2 * Interval)
			synctest.Wait()
			if got := texts(r.Lookup("web.example")); !slices.Equal(got, []string{"10.0.0.1"}) || hasNews(r) {
				t.Errorf("while DNS answers %v the addresses are %v", broken, got)
			}
		}
		z.set("web.example", "10.0.0.9")
		time.Sleep(Interval)
		synctest.Wait()
		if got := texts(r.Lookup("web.example")); !slices.Equal(got, []string{"10.0.0.9"}) {
			t.Errorf("after DNS came back the addresses are %v", got)
		}
		if got := strings.Count(log.String(), "does not resolve"); got != 1 {
			t.Errorf("four failures in a row were logged %d times, want once:\n%s", got, log)
		}
		if got := strings.Count(log.String(), "resolves again"); got != 1 {
			t.Errorf("the recovery was logged %d times, want once:\n%s", got, log)
		}
	})
}

func TestForgottenNameIsNotResolvedAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone()
		z.delay = time.Second
		z.set("a.example", "10.0.0.1")
		r := start(t, z, nil)
		r.Lookup("a.example")
		r.Lookup("b.example")
		synctest.Wait()
		r.Forget("a.example") // while it is asked for
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if hasNews(r) || r.Changed() != nil {
			t.Error("the answer for a forgotten name is news")
		}
		r.Forget("b.example") // while it waits for its turn
		r.Forget("never.example")
		time.Sleep(10 * Interval)
		if a, b := z.questions("a.example"), z.questions("b.example"); a != 1 || b != 1 {
			t.Errorf("asked %d and %d times, want once each", a, b)
		}
		r.mu.Lock()
		left := len(r.names) + len(r.fresh) + len(r.asked) + len(r.changed)
		r.mu.Unlock()
		if left != 0 {
			t.Errorf("%d entries of forgotten names are left", left)
		}

		r.Lookup("a.example") // known again
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := texts(r.Lookup("a.example")); !slices.Equal(got, []string{"10.0.0.1"}) {
			t.Errorf("a name that is used again has addresses %v", got)
		}
	})
}

func TestForgettingANameForgetsItsNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := newZone()
		z.set("a.example", "10.0.0.1")
		r := start(t, z, nil)
		r.Lookup("a.example")
		synctest.Wait()
		r.Forget("a.example")
		if got := r.Changed(); got != nil {
			t.Errorf("changed: %v", got)
		}
	})
}

func TestQuestionsAtOnceAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const names = 5*concurrency + 1
		z := newZone()
		z.delay = 100 * time.Millisecond
		r := start(t, z, nil)
		for i := range names {
			host := fmt.Sprintf("h%d.example", i)
			z.set(host, "10.0.0.1")
			r.Lookup(host)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if z.most != concurrency {
			t.Errorf("%d questions at once, want %d", z.most, concurrency)
		}
		if got := len(r.Changed()); got != names {
			t.Errorf("%d of %d names were resolved", got, names)
		}
	})
}

func TestDeadServerDelaysNoOtherAndBlocksNoCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead, alive := newZone(), newZone()
		dead.delay = -1
		alive.set("alive.example", "10.0.0.1")
		z := newZone()
		r := start(t, z, nil)
		r.lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			if host == "alive.example" {
				return alive.lookup(ctx, host)
			}
			return dead.lookup(ctx, host)
		}
		r.Lookup("dead.example")
		synctest.Wait()
		r.Lookup("alive.example")
		synctest.Wait()
		if got := texts(r.Lookup("alive.example")); !slices.Equal(got, []string{"10.0.0.1"}) {
			t.Errorf("addresses: %v", got)
		}
		time.Sleep(4*timeout + 3*Interval)
		if got := dead.questions("dead.example"); got != 4 {
			t.Errorf("asked the dead server %d times, want 4: each question ends after %v and the next comes %v later", got, timeout, Interval)
		}
	})
}

func TestRunEndsWhileQuestionsHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z, log := newZone(), new(bytes.Buffer)
		z.delay = -1
		t.Cleanup(func() { // runs after the one of start, which ends Run
			if log.Len() != 0 {
				t.Errorf("the end was taken for a failure of DNS: %s", log)
			}
		})
		r := start(t, z, log)
		for i := range 2 * concurrency {
			r.Lookup(fmt.Sprintf("h%d.example", i))
		}
		synctest.Wait()
	})
}

func TestSystemResolverIsTheDefault(t *testing.T) {
	r := New(nil, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	addrs, err := r.lookup(ctx, "localhost")
	if err != nil {
		t.Skipf("this machine does not resolve localhost: %v", err)
	}
	for _, addr := range addrs {
		if !addr.Unmap().IsLoopback() {
			t.Errorf("localhost resolves to %v", addr)
		}
	}
}
