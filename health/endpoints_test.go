package health

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// names answers lookups in order, the last answer again and again.
type names struct {
	answers []func(ctx context.Context) ([]netip.Addr, error)
	asked   int
}

func (n *names) LookupNetIP(ctx context.Context, _, _ string) ([]netip.Addr, error) {
	answer := n.answers[min(n.asked, len(n.answers)-1)]
	n.asked++
	return answer(ctx)
}

func addrs(list ...string) func(context.Context) ([]netip.Addr, error) {
	var all []netip.Addr
	for _, text := range list {
		all = append(all, netip.MustParseAddr(text))
	}
	return func(context.Context) ([]netip.Addr, error) { return all, nil }
}

func fails(err error) func(context.Context) ([]netip.Addr, error) {
	return func(context.Context) ([]netip.Addr, error) { return nil, err }
}

func hangs(ctx context.Context) ([]netip.Addr, error) {
	<-ctx.Done()
	return nil, &net.DNSError{Err: "timeout", Name: "web", IsTimeout: true}
}

var (
	noSuchHost  = fails(&net.DNSError{Err: "no such host", Name: "web", IsNotFound: true})
	serverFails = fails(&net.DNSError{Err: "server misbehaving", Name: "web", IsTemporary: true})
)

// probeAt gives the error named for an address, none for any other. seen, if
// not nil, gets the endpoints; then there may be only one at a time.
func probeAt(seen *[]string, results map[string]error) func(context.Context, netip.AddrPort) error {
	return func(_ context.Context, to netip.AddrPort) error {
		if seen != nil {
			*seen = append(*seen, to.String())
		}
		return results[to.Addr().String()]
	}
}

func TestANamePassesIfAnyOfItsAddressesDoes(t *testing.T) {
	refused := error(syscall.ECONNREFUSED)
	cases := map[string]struct {
		addresses []string
		results   map[string]error
		want      error
	}{
		"all pass":                                     {[]string{"10.0.0.1", "10.0.0.2"}, nil, nil},
		"one of three passes":                          {[]string{"10.0.0.1", "10.0.0.2", "10.0.0.3"}, map[string]error{"10.0.0.1": refused, "10.0.0.3": refused}, nil},
		"all fail":                                     {[]string{"10.0.0.1", "10.0.0.2"}, map[string]error{"10.0.0.1": refused, "10.0.0.2": refused}, refused},
		"no descriptor was left for one":               {[]string{"10.0.0.1", "10.0.0.2"}, map[string]error{"10.0.0.1": refused, "10.0.0.2": syscall.EMFILE}, syscall.EMFILE},
		"this node has no IPv6, IPv4 fails":            {[]string{"fd00::1", "10.0.0.2"}, map[string]error{"fd00::1": syscall.EADDRNOTAVAIL, "10.0.0.2": refused}, refused},
		"this node has no IPv6, IPv4 passes":           {[]string{"fd00::1", "10.0.0.2"}, map[string]error{"fd00::1": syscall.EADDRNOTAVAIL}, nil},
		"this node has no IPv6, nothing else is there": {[]string{"fd00::1"}, map[string]error{"fd00::1": syscall.EADDRNOTAVAIL}, syscall.EADDRNOTAVAIL},
	}
	for name, c := range cases {
		e, err := newEndpoints("web:80", &names{answers: []func(context.Context) ([]netip.Addr, error){addrs(c.addresses...)}})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := e.each(t.Context(), probeAt(nil, c.results)); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

func TestTheLastAnswerIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &names{answers: []func(context.Context) ([]netip.Addr, error){
			addrs("10.0.0.1"), serverFails, noSuchHost, addrs(), hangs, addrs("10.0.0.2"),
		}}
		e, err := newEndpoints("web:80", n)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []string{"10.0.0.1:80", "10.0.0.1:80", "10.0.0.1:80", "10.0.0.1:80", "10.0.0.1:80", "10.0.0.2:80"} {
			var seen []string
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if err := e.each(ctx, probeAt(&seen, nil)); err != nil || !slices.Equal(seen, []string{want}) {
				t.Errorf("probe %d went to %v and gave %v, want %s", i, seen, err, want)
			}
			cancel()
			if n.asked != i+1 {
				t.Fatalf("probe %d: %d lookups", i, n.asked)
			}
			time.Sleep(lookupAge)
		}
	})
}

func TestAnAnswerIsUsedForSomeSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &names{answers: []func(context.Context) ([]netip.Addr, error){addrs("10.0.0.1")}}
		e, err := newEndpoints("web:80", n)
		if err != nil {
			t.Fatal(err)
		}
		for range 50 {
			if err := e.each(t.Context(), probeAt(nil, nil)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(lookupAge / 10)
		}
		if n.asked != 5 {
			t.Errorf("%d lookups in 25 s, want 5", n.asked)
		}
	})
}

func TestANameThatWasNeverResolved(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(context.Context) ([]netip.Addr, error)
		void   bool
		want   string
	}{
		"a name that does not exist fails":    {noSuchHost, false, `resolve "web": no such host`},
		"a name without addresses fails":      {addrs(), false, `resolve "web": no such host`},
		"a name server that fails is void":    {serverFails, true, "server misbehaving"},
		"a name server that is silent is too": {hangs, true, "timeout"},
	} {
		synctest.Test(t, func(t *testing.T) {
			e, err := newEndpoints("web:80", &names{answers: []func(context.Context) ([]netip.Addr, error){c.answer}})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			err = e.each(ctx, probeAt(nil, nil))
			if err == nil || Void(err) != c.void || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: got %v, void=%t", name, err, Void(err))
			}
		})
	}
}

func TestManyAddressesAreBounded(t *testing.T) {
	var many []string
	for n := range 200 {
		many = append(many, netip.AddrFrom4([4]byte{10, 0, 0, byte(n)}).String())
	}
	e, err := newEndpoints("web:80", &names{answers: []func(context.Context) ([]netip.Addr, error){addrs(many...)}})
	if err != nil {
		t.Fatal(err)
	}
	if all, err := e.resolve(t.Context()); err != nil || len(all) != maxEndpoints {
		t.Errorf("%d endpoints, error %v", len(all), err)
	}
}

func TestAnIPAddressAsksNoNameServer(t *testing.T) {
	for address, want := range map[string]string{
		"127.0.0.1:80": "127.0.0.1:80", "[::1]:80": "[::1]:80", "[::ffff:10.0.0.1]:80": "10.0.0.1:80",
	} {
		e, err := newEndpoints(address, nil)
		if err != nil {
			t.Fatal(err)
		}
		var seen []string
		if err := e.each(t.Context(), probeAt(&seen, nil)); err != nil || !slices.Equal(seen, []string{want}) {
			t.Errorf("%s: went to %v, error %v", address, seen, err)
		}
	}
}
