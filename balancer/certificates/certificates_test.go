package certificates

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTheCertificateIsChosenByName(t *testing.T) {
	a := theAuthority()
	all := []*Certificate{
		a.issue(t, "default", newECDSA(), "default.test"),
		a.issue(t, "wild", newECDSA(), "*.shop.test"),
		a.issue(t, "exact", newECDSA(), "www.shop.test"),
		a.issue(t, "both-rsa", rsaKey(), "both.test"),
		a.issue(t, "both", newECDSA(), "both.test"),
		a.issue(t, "old", rsaKey(), "old.test"),
	}
	rsaOnly := []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
	for name, c := range map[string]struct {
		asked  string
		suites []uint16 // with TLS 1.2
		want   int
	}{
		"the exact name goes before the wildcard":          {asked: "www.shop.test", want: 2},
		"the wildcard covers one label":                    {asked: "api.shop.test", want: 1},
		"the wildcard covers no more":                      {asked: "a.b.shop.test", want: 0},
		"the case does not count":                          {asked: "WWW.Shop.Test", want: 2},
		"an unknown name gets the default":                 {asked: "nobody.test", want: 0},
		"no name gets the default":                         {want: 0},
		"ECDSA goes first":                                 {asked: "both.test", want: 4},
		"a client without ECDSA gets RSA":                  {asked: "both.test", suites: rsaOnly, want: 3},
		"a name with RSA alone has it":                     {asked: "old.test", want: 5},
		"a client is tried although it may not understand": {asked: "old.test", suites: rsaOnly, want: 5},
	} {
		t.Run(name, func(t *testing.T) {
			client := &tls.Config{ServerName: c.asked, InsecureSkipVerify: true}
			if c.suites != nil {
				client.MaxVersion, client.CipherSuites = tls.VersionTLS12, c.suites
			}
			seen, _, err := meet(t, serverOf(t, Settings{Certificates: all}), client)
			if err != nil {
				t.Fatal(err)
			}
			if !seen.PeerCertificates[0].Equal(all[c.want].leaf) {
				t.Errorf("got the certificate for %s", seen.PeerCertificates[0].DNSNames)
			}
		})
	}
}

func TestAnUnknownNameIsRefusedWhereTheListenerSaysSo(t *testing.T) {
	a := theAuthority()
	server := serverOf(t, Settings{Certificates: []*Certificate{a.issue(t, "one", newECDSA(), "one.test")}, RefuseUnknown: true})
	if _, _, err := meet(t, server, &tls.Config{ServerName: "two.test", InsecureSkipVerify: true}); !has(err, "unrecognized name") {
		t.Errorf("the client was told %v", err)
	}
	if _, _, err := meet(t, server, &tls.Config{ServerName: "one.test", RootCAs: a.pool()}); err != nil {
		t.Error(err)
	}
	if _, _, err := meet(t, serverOf(t, Settings{}), &tls.Config{ServerName: "one.test"}); !has(err, "unrecognized name") {
		t.Errorf("without certificates the client was told %v", err)
	}
}

func TestPoliciesBoundVersionsAndCiphers(t *testing.T) {
	all := []*Certificate{theAuthority().issue(t, "one", rsaKey(), "one.test")}
	old := []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA}
	for name, c := range map[string]struct {
		settings Settings
		most     uint16
		suites   []uint16
		works    bool
	}{
		"intermediate takes 1.2":            {most: tls.VersionTLS12, works: true},
		"intermediate takes no 1.1":         {most: tls.VersionTLS11},
		"intermediate takes no old ciphers": {most: tls.VersionTLS12, suites: old},
		"modern takes 1.3":                  {settings: Settings{Policy: PolicyModern}, most: tls.VersionTLS13, works: true},
		"modern takes no 1.2":               {settings: Settings{Policy: PolicyModern}, most: tls.VersionTLS12},
		"modern is not lowered":             {settings: Settings{Policy: PolicyModern, MinVersion: "1.2"}, most: tls.VersionTLS12},
		"the minimum raises":                {settings: Settings{MinVersion: "1.3"}, most: tls.VersionTLS12},
	} {
		t.Run(name, func(t *testing.T) {
			c.settings.Certificates = all
			client := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: c.most, CipherSuites: c.suites}
			if _, _, err := meet(t, serverOf(t, c.settings), client); (err == nil) != c.works {
				t.Errorf("the handshake ended with %v", err)
			}
		})
	}
}

func TestASessionResumesOnAnotherNodeAndAtNoOtherListener(t *testing.T) {
	a := theAuthority()
	one := a.issue(t, "one", newECDSA(), "one.test")
	settings := Settings{Listener: "web", Certificates: []*Certificate{one}, TicketKeys: [][]byte{{1, 2, 3}, {4}}}
	rotated, other, stricter := settings, settings, settings
	rotated.TicketKeys = [][]byte{{9}, {1, 2, 3}}
	other.Listener = "admin"
	stricter.ClientCA = a.pem()
	for version, text := range map[uint16]string{tls.VersionTLS12: "1.2", tls.VersionTLS13: "1.3"} {
		client := &tls.Config{ServerName: "one.test", RootCAs: a.pool(), ClientSessionCache: tls.NewLRUClientSessionCache(1), MaxVersion: version}
		for i, c := range []struct {
			name    string
			node    Settings
			resumes bool
		}{
			{"the first is a full one", settings, false}, {"another node takes it up", settings, true},
			{"a node with newer keys does", rotated, true}, {"another listener does not", other, false},
		} {
			seen, _, err := meet(t, serverOf(t, c.node), client)
			if err != nil || seen.DidResume != c.resumes {
				t.Errorf("%s: %d, %s: resumed %v, %v", text, i, c.name, seen.DidResume, err)
			}
		}
		if _, _, err := meet(t, serverOf(t, stricter), client); err == nil {
			t.Errorf("%s: a session stood in for the certificate of a client", text)
		}
	}
}

func TestClientsShowCertificatesAsTheListenerAsks(t *testing.T) {
	a, stranger := theAuthority(), newAuthority()
	one := a.issue(t, "one", newECDSA(), "one.test")
	good, bad := a.issue(t, "good", newECDSA(), "client.test"), stranger.issue(t, "bad", newECDSA(), "client.test")
	for name, c := range map[string]struct {
		mode  string
		shows *Certificate
		works bool
	}{
		"required and shown":             {mode: ClientRequired, shows: good, works: true},
		"required and not shown":         {mode: ClientRequired},
		"required and of somebody else":  {mode: ClientRequired, shows: bad},
		"optional and not shown":         {mode: ClientOptional, works: true},
		"optional and shown":             {mode: ClientOptional, shows: good, works: true},
		"optional and of somebody else":  {mode: ClientOptional, shows: bad},
		"required where nothing is said": {},
	} {
		t.Run(name, func(t *testing.T) {
			server := serverOf(t, Settings{Certificates: []*Certificate{one}, ClientCA: a.pem(), ClientMode: c.mode})
			client := &tls.Config{ServerName: "one.test", RootCAs: a.pool()}
			if c.shows != nil {
				client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c.shows.shown.Load(), nil }
			}
			_, found, err := meet(t, server, client)
			if (err == nil) != c.works {
				t.Fatalf("the handshake ended with %v", err)
			}
			if c.works && c.shows != nil && Subject(found.PeerCertificates[0]) != "CN=a leaf" {
				t.Errorf("the subject is %q", Subject(found.PeerCertificates[0]))
			}
		})
	}
	if _, err := Server(Settings{Listener: "web", ClientCA: "nothing"}); !has(err, `listener "web"`) {
		t.Errorf("an authority that is none: %v", err)
	}
}

func TestFaultsHaveNames(t *testing.T) {
	a := theAuthority()
	key, other := newECDSA(), newECDSA()
	late := func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }
	early := func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }
	for name, c := range map[string]struct {
		chain, key string
		want       []string
	}{
		"nothing is wrong":          {a.chain(t, key, nil, "a.test"), keyPEM(t, key), nil},
		"the key is another's":      {a.chain(t, key, nil, "a.test"), keyPEM(t, other), []string{FaultKeyMismatch}},
		"there is no key":           {a.chain(t, key, nil, "a.test"), "", []string{FaultKey}},
		"there is nothing":          {"", "", []string{FaultChain, FaultKey}},
		"the order is wrong":        {a.pem() + a.chain(t, key, nil, "a.test"), keyPEM(t, key), []string{FaultChain, FaultKeyMismatch}},
		"the key is in the chain":   {a.chain(t, key, nil, "a.test") + keyPEM(t, key), keyPEM(t, key), []string{FaultChain}},
		"it has expired":            {a.chain(t, key, late, "a.test"), keyPEM(t, key), []string{FaultExpired}},
		"it is not valid yet":       {a.chain(t, key, early, "a.test"), keyPEM(t, key), []string{FaultNotYetValid}},
		"it is for nobody":          {a.chain(t, key, nil), keyPEM(t, key), []string{FaultNoName}},
		"the PEM holds no DER":      {block("CERTIFICATE", []byte("x")), keyPEM(t, key), []string{FaultChain}},
		"the key's PEM is a number": {a.chain(t, key, nil, "a.test"), block("PRIVATE KEY", []byte("1")), []string{FaultKey}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, fault := range Check("shop", c.chain, c.key, time.Now()) {
				got = append(got, fault.Kind)
				if !strings.HasPrefix(fault.Error(), `certificate "shop": it`) {
					t.Errorf("the message is %q", fault)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
	shop := a.issue(t, "shop", key, "*.shop.test", "shop.test")
	for host, want := range map[string]int{"shop.test": 0, "a.shop.test": 0, "*.shop.test": 0, "*.a.shop.test": 1, "other.test": 1} {
		if got := shop.Faults(time.Now(), host); len(got) != want {
			t.Errorf("for %s: %v", host, got)
		}
	}
}

func TestASubjectIsAFieldsValue(t *testing.T) {
	for _, c := range []struct{ name, want string }{
		{"plain", "CN=plain"}, {"a\r\nX-Admin: 1", `CN=a\0D\0AX-Admin: 1`}, {"Zoë", `CN=Zo\C3\AB`},
		{"ends ", `CN=ends\20`}, {`a\`, `CN=a\\`}, {"a,b", `CN=a\,b`}, {"\x7f", `CN=\7F`},
	} {
		if got := Subject(&x509.Certificate{Subject: pkix.Name{CommonName: c.name}}); got != c.want {
			t.Errorf("%q is %q, want %q", c.name, got, c.want)
		}
	}
}

func TestBackendsAreVerified(t *testing.T) {
	a := theAuthority()
	server := serverOf(t, Settings{Certificates: []*Certificate{a.issue(t, "b", newECDSA(), "backend.test", "192.0.2.1")}})
	for name, c := range map[string]struct {
		settings UpstreamSettings
		address  string
		works    bool
	}{
		"the host of the address":       {UpstreamSettings{CA: a.pem()}, "backend.test:443", true},
		"an IP address":                 {UpstreamSettings{CA: a.pem()}, "192.0.2.1:443", true},
		"another IP address":            {UpstreamSettings{CA: a.pem()}, "192.0.2.2:443", false},
		"a name for all":                {UpstreamSettings{CA: a.pem(), ServerName: "backend.test"}, "192.0.2.2:443", true},
		"another name":                  {UpstreamSettings{CA: a.pem()}, "other.test:443", false},
		"nobody issued it":              {UpstreamSettings{CA: newAuthority().pem()}, "backend.test:443", false},
		"everything is believed":        {UpstreamSettings{Insecure: true}, "other.test:443", true},
		"an authority the system knows": {UpstreamSettings{}, "backend.test:443", false},
	} {
		t.Run(name, func(t *testing.T) {
			u, err := NewUpstream(c.settings)
			if err != nil {
				t.Fatal(err)
			}
			for i := range 2 {
				seen, _, err := meet(t, server, u.For(c.address))
				if (err == nil) != c.works || c.works && seen.DidResume != (i == 1) {
					t.Errorf("the handshake ended with %v, resumed %v", err, seen.DidResume)
				}
			}
		})
	}
	two, err := NewUpstream(UpstreamSettings{Insecure: true, Protocols: []string{HTTP2}})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := meet(t, server, two.For("backend.test:443")); !has(err, "does not choose HTTP/2") {
		t.Errorf("a backend of HTTP/1: %v", err)
	}
	server.NextProtos = []string{HTTP2}
	if _, _, err := meet(t, server, two.For("backend.test:443")); err != nil {
		t.Error(err)
	}
	if _, err := NewUpstream(UpstreamSettings{Pool: "p", CA: "-"}); !has(err, `pool "p"`) {
		t.Error(err)
	}
}

func ExampleFault_Error() {
	for _, fault := range Check("shop", "", "", time.Now()) {
		fmt.Println(fault)
	}
	// Output:
	// certificate "shop": its chain holds no certificate: give PEM, the leaf first (bad-chain)
	// certificate "shop": it has no private key: give PEM of PKCS #8, PKCS #1 or SEC 1, not encrypted (bad-key)
}
