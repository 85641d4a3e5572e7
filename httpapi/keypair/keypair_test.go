package keypair_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"evenkeel/fsm"
	"evenkeel/httpapi/keypair"
)

var end = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

// pair returns a certificate that ends at end, and its key, in PEM.
func pair(t testing.TB, key crypto.Signer) (chain, private string) {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a.example"}, NotBefore: end.Add(-time.Hour), NotAfter: end}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}))
}

func made[K any](t testing.TB, key K, err error) K {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestAKeyThatIsNotSealedIsKnownAsSuch(t *testing.T) {
	for _, key := range []string{"", "a key", "unsealed:"} {
		spec := (&keypair.Document{Chain: "c", Key: key}).Spec()
		if got, unsealed := keypair.Key(spec); got != key || !unsealed || spec.Chain != "c" || spec.Key != "" || strings.Contains(spec.SealedKey, "a key") {
			t.Errorf("%q is read as %q, %t, of %+v", key, got, unsealed, spec)
		}
	}
	for _, sealed := range []string{"", "AQID", "!", "dW5zZWFsZWQ="} {
		if key, unsealed := keypair.Key(fsm.CertificateSpec{SealedKey: sealed}); unsealed {
			t.Errorf("%q is read as a key %q that is not sealed", sealed, key)
		}
	}
}

func TestWhatIsOfUseTogether(t *testing.T) {
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	chain, key := pair(t, made(t, p256, err))
	_, other, err := ed25519.GenerateKey(rand.Reader)
	otherChain, otherKey := pair(t, made(t, other, err))
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	weakChain, weakKey := pair(t, made(t, short, err))
	strong, err := rsa.GenerateKey(rand.Reader, 2048)
	strongChain, strongKey := pair(t, made(t, strong, err))
	for name, test := range map[string]struct {
		chain, key string
		now        time.Time
		want       []string // pointer and a part of the message
	}{
		"an ECDSA key":            {chain, key, end, nil},
		"an Ed25519 key":          {otherChain, otherKey, end, nil},
		"an RSA key":              {strongChain, strongKey, end, nil},
		"no time":                 {chain, key, time.Time{}, nil},
		"a moment too late":       {chain, key, end.Add(time.Second), []string{"/spec/chain", "of CN=a.example expired at 2030-01-02T03:04:05Z"}},
		"another's key":           {chain, otherKey, end, []string{"/spec/key", "another certificate than the chain's first, that of CN=a.example"}},
		"a weak key, too late":    {weakChain, weakKey, end.Add(time.Second), []string{"/spec/key", "1024 bits", "/spec/chain", "expired"}},
		"a huge key":              {chain, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: make([]byte, 6<<10)})), end, []string{"/spec/key", "has 6144 bytes"}},
		"a huge key behind":       {chain, key + string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: make([]byte, 6<<10)})), end, []string{"/spec/key", "has 6144 bytes"}},
		"no key":                  {chain, "secret words", end, []string{"/spec/key", "is no private key"}},
		"a certificate as key":    {chain, chain, end, []string{"/spec/key", "is no private key"}},
		"an encrypted key":        {chain, "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n", end, []string{"/spec/key", "is encrypted"}},
		"a chain that is none":    {"secret words", key, end, nil}, // which the registry tells
		"a chain that is damaged": {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", key, end, nil},
	} {
		faults := keypair.Check(test.chain, test.key, test.now)
		if len(faults) != len(test.want)/2 {
			t.Errorf("%s: %v", name, faults)
			continue
		}
		for i, fault := range faults {
			if fault.Pointer != test.want[2*i] || !strings.Contains(fault.Message, test.want[2*i+1]) {
				t.Errorf("%s: %v", name, fault)
			}
			if strings.Contains(fault.Message, "secret words") {
				t.Errorf("%s: it is told: %s", name, fault.Message)
			}
		}
	}
	again, _ := pair(t, p256)
	if !keypair.SameKey(chain, again) || keypair.SameKey(chain, otherChain) || keypair.SameKey("", "") {
		t.Error("keys are mistaken for one another")
	}
}
