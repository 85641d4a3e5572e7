package balancer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"evenkeel/balancer/certificates"
	"evenkeel/fsm"
)

// selfSigned is a certificate for a name.
func selfSigned(t testing.TB, object, name string, ends time.Duration) *certificates.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(ends)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := certificates.Parse(object, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestListenersSpeakTLSAsTheRegistrySays(t *testing.T) {
	r := withBackend(t, backend(t, hello))
	r.do(listener("web", "127.0.0.1:0"), listener("plain", "127.0.0.1:0"))
	var mu sync.Mutex // guards settings
	settings := certificates.Settings{Listener: "web", Certificates: []*certificates.Certificate{selfSigned(t, "first", "first.test", 365*24*time.Hour)}}
	change := func(f func()) {
		mu.Lock()
		f()
		mu.Unlock()
		r.do(fsm.Put{Name: "p2", Spec: fsm.PoolSpec{Strategy: fsm.StrategyRoundRobin}, Labels: map[string]string{"at": time.Now().Format("150405.000000")}})
	}
	n := run(t, Config{ListenerTLS: func(_ *fsm.State, l *fsm.Listener) (certificates.Settings, bool) {
		mu.Lock()
		defer mu.Unlock()
		return settings, l.Name == "web"
	}}, r)
	shows := func() string {
		conn, err := tls.Dial("tcp", n.listening("web"), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			return err.Error()
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].DNSNames[0]
	}
	n.serves(n.listening("plain"))
	if got := shows(); got != "first.test" {
		t.Errorf("it shows %q", got)
	}
	change(func() {
		settings.Certificates = []*certificates.Certificate{selfSigned(t, "second", "second.test", 24*time.Hour)}
	})
	eventually(t, "the new certificate is shown", func() bool { return shows() == "second.test" })
	eventually(t, "its end is warned of", func() bool {
		return strings.Contains(n.log.String(), `certificate=second fault="expires soon"`)
	})
	if got := n.Certificates(); len(got) != 1 || got[0].Name != "second" || !slices.Equal(got[0].Names, []string{"second.test"}) || len(got[0].Faults) > 0 {
		t.Errorf("the certificates are %+v", got)
	}
	change(func() { settings.ClientCA = "no PEM" })
	eventually(t, "the fault is told", func() bool { return strings.Contains(n.log.String(), "authority of clients") })
	if got := shows(); got != "second.test" {
		t.Errorf("what cannot be used took the place of what was there: %q", got)
	}
	r.do(noListener("web"))
	eventually(t, "nothing is shown", func() bool { return len(n.Certificates()) == 0 })
}

func TestPoolsSpeakTLSAsTheRegistrySays(t *testing.T) {
	r := withBackend(t, backend(t, hello)) // which speaks plain text
	r.do(listener("web", "127.0.0.1:0"))
	n := run(t, Config{PoolTLS: func(_ *fsm.State, p *fsm.Pool) (certificates.UpstreamSettings, bool) {
		return certificates.UpstreamSettings{Pool: p.Name, CA: "no PEM"}, p.Name == "p"
	}}, r)
	address := n.listening("web")
	if status, err := get(http.DefaultClient, address); err != nil || !strings.HasPrefix(status, "503 ") {
		t.Errorf("got %q, %v", status, err)
	}
	if !strings.Contains(n.log.String(), "authority of backends") {
		t.Error("the fault is not told")
	}
}
