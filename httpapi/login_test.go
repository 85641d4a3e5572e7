package httpapi

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

var guesser = netip.MustParseAddr("203.0.113.9")

func TestWrongTokensAreSlowedMoreAndMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLogins()
		for i := range freeFailures {
			if wait := l.wait(guesser); wait != 0 {
				t.Fatalf("after %d failures the wait is %s", i, wait)
			}
			l.failed(guesser)
		}
		want := firstDelay
		for range 20 {
			l.failed(guesser)
			if wait := l.wait(guesser); wait != want {
				t.Fatalf("the wait is %s, want %s", wait, want)
			}
			time.Sleep(want) // of the bubble's clock
			if wait := l.wait(guesser); wait != 0 {
				t.Fatalf("after its time the wait is %s", wait)
			}
			want = min(2*want, maxDelay)
		}
		if want != maxDelay {
			t.Errorf("the wait grew to %s, want %s", want, maxDelay)
		}
		l.failed(guesser)
		time.Sleep(forgetAfter + time.Second)
		l.failed(guesser)
		if wait := l.wait(guesser); wait != 0 {
			t.Errorf("after a long time without a failure the wait is %s", wait)
		}
	})
}

func TestWhoeverHasTheAdminTokenGuessesNoMore(t *testing.T) {
	l := newLogins()
	for range freeFailures + 3 {
		l.failed(guesser)
	}
	l.succeeded(guesser)
	l.succeeded(guesser)
	if wait := l.wait(guesser); wait != 0 {
		t.Errorf("the wait is %s", wait)
	}
	if l.order.Len() != 0 || len(l.by) != 0 {
		t.Errorf("%d and %d entries are left", l.order.Len(), len(l.by))
	}
}

func TestAPartyIsSlowedByItsAddressesAndNobodyElse(t *testing.T) {
	for name, c := range map[string]struct {
		fails, asks string
		same        bool
	}{
		"an address":                        {"203.0.113.9", "203.0.113.9", true},
		"its neighbour":                     {"203.0.113.9", "203.0.113.8", false},
		"the same one in IPv6":              {"203.0.113.9", "::ffff:203.0.113.9", true},
		"another of the same /64":           {"2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true},
		"another /64":                       {"2001:db8:1:2::1", "2001:db8:1:3::1", false},
		"another of the loopback":           {"127.0.0.1", "127.9.9.9", true},
		"the loopback of IPv6 is its own":   {"127.0.0.1", "::1", false},
		"a zone does not count":             {"fe80::1%eth0", "fe80::1%eth1", true},
		"no address is one with no address": {"", "", true},
		"no address is not any other":       {"", "203.0.113.9", false},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLogins()
			parse := func(text string) netip.Addr {
				address, _ := netip.ParseAddr(text)
				return address
			}
			for range freeFailures + 1 {
				l.failed(parse(c.fails))
			}
			if slowed := l.wait(parse(c.asks)) > 0; slowed != c.same {
				t.Errorf("slowed %t, want %t", slowed, c.same)
			}
		})
	}
}

func TestTheMemoryOfFailuresIsBounded(t *testing.T) {
	l := newLogins()
	for range freeFailures + 1 {
		l.failed(guesser)
	}
	for i := range 3 * maxAddresses {
		l.failed(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
		if i%100 == 0 {
			l.failed(guesser) // who goes on is not forgotten
		}
	}
	if l.order.Len() != maxAddresses || len(l.by) != maxAddresses {
		t.Errorf("%d and %d addresses are remembered, want %d", l.order.Len(), len(l.by), maxAddresses)
	}
	if l.wait(guesser) == 0 {
		t.Error("the one that goes on is forgotten")
	}
}
