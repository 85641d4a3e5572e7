package cluster

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
)

func TestAdvertisedAddress(t *testing.T) {
	unspecified := "0.0.0.0:7071"
	for name, test := range map[string]struct {
		config  Config
		bound   string
		globals []string
		want    string
		fault   string
	}{
		"what is configured wins":                        {config: Config{Advertise: "10.9.9.9:99"}, bound: "10.0.0.1:7071", want: "10.9.9.9:99"},
		"a configured host takes the bound port":         {config: Config{Advertise: "10.9.9.9"}, bound: unspecified, want: "10.9.9.9:7071"},
		"a configured name is resolved":                  {config: Config{Advertise: "n1"}, bound: unspecified, want: "10.0.0.1:7071"},
		"a configured v6 host takes the bound port":      {config: Config{Advertise: "[2001:db8::1]"}, bound: "[::]:7071", want: "[2001:db8::1]:7071"},
		"a configured name that is not known is a fault": {config: Config{Advertise: "n9"}, bound: unspecified, fault: "n9"},
		"all addresses cannot be configured":             {config: Config{Advertise: "0.0.0.0"}, bound: unspecified, fault: "name one"},
		"the bound address is next":                      {bound: "10.0.0.1:7071", want: "10.0.0.1:7071"},
		"then the source of the route to the first join": {config: Config{Join: []string{"n9:7071", "n2:7071"}}, bound: unspecified, globals: []string{"1.1.1.1", "2.2.2.2"}, want: "10.0.0.7:7071"},
		"then the only global address":                   {bound: unspecified, globals: []string{"1.1.1.1"}, want: "1.1.1.1:7071"},
		"several global addresses are listed":            {config: Config{Bind: unspecified}, bound: unspecified, globals: []string{"1.1.1.1", "2.2.2.2"}, fault: "1.1.1.1, 2.2.2.2"},
		"a machine without a network serves alone":       {bound: unspecified, want: "127.0.0.1:7071"},
	} {
		t.Run(name, func(t *testing.T) {
			n := network{
				resolve: func(_ context.Context, host string) ([]netip.Addr, error) {
					if addr, err := netip.ParseAddr(host); err == nil {
						return []netip.Addr{addr}, nil
					}
					switch host {
					case "n1":
						return []netip.Addr{netip.MustParseAddr("10.0.0.1")}, nil
					case "n2":
						return []netip.Addr{netip.MustParseAddr("2001:db8::2"), netip.MustParseAddr("10.0.0.2")}, nil
					}
					return nil, errors.New("no such host")
				},
				source: func(to netip.AddrPort) (netip.Addr, error) {
					if to.Addr() == netip.MustParseAddr("10.0.0.2") {
						return netip.MustParseAddr("10.0.0.7"), nil
					}
					return netip.Addr{}, errors.New("no route")
				},
				globals: func() ([]netip.Addr, error) {
					var addrs []netip.Addr
					for _, one := range test.globals {
						addrs = append(addrs, netip.MustParseAddr(one))
					}
					return addrs, nil
				},
			}
			got, err := n.advertised(t.Context(), test.config, netip.MustParseAddrPort(test.bound))
			switch {
			case test.fault != "":
				if err == nil || !strings.Contains(err.Error(), test.fault) {
					t.Errorf("got %s, error %v", got, err)
				}
			case err != nil || got.String() != test.want:
				t.Errorf("got %s, error %v; want %s", got, err, test.want)
			}
		})
	}
}

func TestSystemNetworkAnswers(t *testing.T) {
	addrs, err := lookupHost(t.Context(), "127.0.0.1")
	if err != nil || len(addrs) != 1 {
		t.Errorf("a literal address resolves to %v, error %v", addrs, err)
	}
	if _, err := lookupHost(t.Context(), "no-such-host.invalid"); err == nil {
		t.Error("a name that cannot exist resolves")
	}
	source, err := routeSource(netip.MustParseAddrPort("127.0.0.1:9"))
	if err != nil || !source.IsLoopback() {
		t.Errorf("the source towards loopback is %s, error %v", source, err)
	}
	if _, err := globalAddrs(); err != nil {
		t.Error(err)
	}
}

func TestAnAPIAddressWithoutAHostGetsTheAdvertisedOne(t *testing.T) {
	for address, want := range map[string]string{":7070": "[fd00::1]:7070", "10.0.0.1:7070": "10.0.0.1:7070", "": ""} {
		if got := withHost(address, netip.MustParseAddr("fd00::1")); got != want {
			t.Errorf("%q becomes %q, want %q", address, got, want)
		}
	}
}
