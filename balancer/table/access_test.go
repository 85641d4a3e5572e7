package table

import (
	"net/netip"
	"testing"

	"evenkeel/fsm"
)

func TestAccess(t *testing.T) {
	for _, c := range []struct {
		name        string
		allow, deny []string
		client      string // "" is one that is not known
		want        bool
	}{
		{"without lists everybody is served", nil, nil, "10.0.0.1", true},
		{"without lists a client need not be known", nil, nil, "", true},
		{"an allowed network is served", []string{"10.0.0.0/8"}, nil, "10.1.2.3", true},
		{"any allowed network is enough", []string{"192.168.0.0/16", "10.0.0.0/8"}, nil, "10.1.2.3", true},
		{"nobody else is served then", []string{"10.0.0.0/8"}, nil, "11.0.0.1", false},
		{"a denied network is not served", nil, []string{"10.0.0.0/8"}, "10.1.2.3", false},
		{"everybody else is served then", nil, []string{"10.0.0.0/8"}, "11.0.0.1", true},
		{"denial goes before permission", []string{"10.0.0.0/8"}, []string{"10.1.0.0/16"}, "10.1.2.3", false},
		{"denial goes before a narrower permission", []string{"10.1.2.3/32"}, []string{"10.0.0.0/8"}, "10.1.2.3", false},
		{"bits beyond the prefix make no difference", []string{"10.1.2.3/8"}, nil, "10.9.9.9", true},
		{"an IPv6 network", []string{"2001:db8::/32"}, nil, "2001:db8:1::1", true},
		{"all of IPv4 is not IPv6", []string{"0.0.0.0/0"}, nil, "2001:db8::1", false},
		{"all of IPv6 is not IPv4", []string{"::/0"}, nil, "10.0.0.1", false},
		{"an IPv4 address mapped to IPv6 is one of IPv4", []string{"10.0.0.0/8"}, nil, "::ffff:10.0.0.1", true},
		{"a mapped network is one of IPv4", nil, []string{"::ffff:10.0.0.0/104"}, "10.0.0.1", false},
		{"a zone makes no difference", nil, []string{"fe80::/10"}, "fe80::1%eth0", false},
		{"a client that is not known is not allowed", []string{"0.0.0.0/0", "::/0"}, nil, "", false},
		{"a client that is not known may be a denied one", nil, []string{"10.0.0.0/8"}, "", false},
		{"an unreadable permission allows nobody", []string{"nonsense"}, nil, "10.0.0.1", false},
		{"an unreadable denial denies everybody of IPv4", nil, []string{"nonsense"}, "10.0.0.1", false},
		{"an unreadable denial denies everybody of IPv6", nil, []string{"nonsense"}, "2001:db8::1", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			access := compileRoute(&fsm.Route{Spec: fsm.RouteSpec{Allow: c.allow, Deny: c.deny}}, nil).Access
			var client netip.Addr
			if c.client != "" {
				client = netip.MustParseAddr(c.client)
			}
			if got := access.Allows(client); got != c.want {
				t.Fatalf("%q is served: %v, want %v", c.client, got, c.want)
			}
		})
	}
}
