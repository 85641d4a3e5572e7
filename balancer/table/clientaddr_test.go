package table

import (
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// of is a [FieldSource] with lines of one name.
func of(name string, lines ...string) headers { return headers{name: lines} }

func TestClientAddr(t *testing.T) {
	const xff, fwd = "X-Forwarded-For", "Forwarded"
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, c := range []struct {
		name   string
		peer   string
		fields FieldSource
		want   string // "" is one that is not known
	}{
		{"without fields it is the peer", "10.0.0.1", nil, "10.0.0.1"},
		{"a trusted proxy that names nobody speaks for itself", "10.0.0.1", headers{}, "10.0.0.1"},
		{"an empty field names nobody", "10.0.0.1", of(xff, " , ", ""), "10.0.0.1"},
		{"nobody else may name a client", "192.0.2.1", of(xff, "192.0.2.9"), "192.0.2.1"},
		{"a trusted proxy names its client", "10.0.0.1", of(xff, "192.0.2.9"), "192.0.2.9"},
		{"a mapped peer is trusted like its IPv4 address", "::ffff:10.0.0.1", of(xff, "192.0.2.9"), "192.0.2.9"},
		{"the last one named counts", "10.0.0.1", of(xff, "192.0.2.8, 192.0.2.9"), "192.0.2.9"},
		{"the last field line counts", "10.0.0.1", of(xff, "192.0.2.7", "192.0.2.8,192.0.2.9"), "192.0.2.9"},
		{"empty elements are none", "10.0.0.1", of(xff, "192.0.2.9,, ,", ""), "192.0.2.9"},
		{"a trusted one names the one before", "10.0.0.1", of(xff, "192.0.2.8, 192.0.2.9, 10.0.0.2"), "192.0.2.9"},
		{"a trusted one names the one before in another line", "10.0.0.1", of(xff, "192.0.2.9", "10.0.0.2"), "192.0.2.9"},
		{"where all are trusted the first counts", "10.0.0.1", of(xff, "10.0.0.3, 10.0.0.2"), "10.0.0.3"},
		{"a port is cut off", "10.0.0.1", of(xff, "192.0.2.9:4711"), "192.0.2.9"},
		{"an IPv6 address", "10.0.0.1", of(xff, "2001:db8::1"), "2001:db8::1"},
		{"an IPv6 address in brackets", "10.0.0.1", of(xff, "[2001:db8::1]"), "2001:db8::1"},
		{"an IPv6 address with a port", "10.0.0.1", of(xff, "[2001:db8::1]:80"), "2001:db8::1"},
		{"a mapped address is one of IPv4", "10.0.0.1", of(xff, "::ffff:192.0.2.9"), "192.0.2.9"},
		{"what is no address is not known", "10.0.0.1", of(xff, "192.0.2.9, unknown"), ""},
		{"an IPv4 address in brackets is none", "10.0.0.1", of(xff, "[192.0.2.9]"), ""},
		{"more proxies than anybody chains are not followed", "10.0.0.1", of(xff, "192.0.2.9"+strings.Repeat(",10.0.0.2", 40)), ""},

		{"Forwarded names a client", "10.0.0.1", of(fwd, "for=192.0.2.9"), "192.0.2.9"},
		{"Forwarded names a client among other things", "10.0.0.1", of(fwd, `proto=http; By="a,b;c" ;FOR="192.0.2.9:47"; host=x`), "192.0.2.9"},
		{"Forwarded names an IPv6 address in quotes", "10.0.0.1", of(fwd, `for="[2001:db8::1]:80"`), "2001:db8::1"},
		{"Forwarded names several", "10.0.0.1", of(fwd, `for=192.0.2.8, for=192.0.2.9;by="x", for="[fd00::1]"`), "192.0.2.9"},
		{"Forwarded may hide the client", "10.0.0.1", of(fwd, "for=_hidden"), ""},
		{"Forwarded without a client does not tell", "10.0.0.1", of(fwd, "for=192.0.2.9, proto=http"), ""},
		{"a client cannot swallow what follows by a quote", "10.0.0.1", of(fwd, `for="192.0.2.8, for="[2001:db8::1]"`), ""},
		{"a client cannot hide what follows by a quote", "10.0.0.1", of(fwd, `for=10.0.0.1;", for=192.0.2.9`), ""},
		{"a quote that never ends names nobody", "10.0.0.1", of(fwd, `for="192.0.2.9`), ""},
		{"X-Forwarded-For goes before Forwarded", "10.0.0.1", headers{xff: {"192.0.2.9"}, fwd: {"for=192.0.2.8"}}, "192.0.2.9"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var want netip.Addr
			if c.want != "" {
				want = netip.MustParseAddr(c.want)
			}
			if got := ClientAddr(netip.MustParseAddr(c.peer), trusted, c.fields); got != want {
				t.Fatalf("got %v, want %v", got, want)
			}
		})
	}
}

// Whatever a client writes into a field that its trusted proxy continues, it
// counts as the address that the proxy saw, or as unknown.
func TestClientsCannotChooseTheirAddress(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	piece := rapid.SampledFrom([]string{"for=", "for=10.0.0.1", `"`, ",", ";", " ", "10.0.0.1", `\`, "x=", "[::1]"})
	seen := []struct{ name, element, client string }{
		{"X-Forwarded-For", "192.0.2.9", "192.0.2.9"},
		{"Forwarded", "for=192.0.2.9", "192.0.2.9"},
		{"Forwarded", `for="[2001:db8::9]";by="[fd00::1]"`, "2001:db8::9"},
	}
	rapid.Check(t, func(t *rapid.T) {
		own := strings.Join(rapid.SliceOfN(piece, 0, 6).Draw(t, "own"), "")
		for _, s := range seen {
			got := ClientAddr(netip.MustParseAddr("10.0.0.1"), trusted, of(s.name, own+", "+s.element))
			if got.IsValid() && got != netip.MustParseAddr(s.client) {
				t.Errorf("%s: %q made %s count as %v", s.name, own, s.client, got)
			}
		}
	})
}
