package httpapi_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"evenkeel/fsm"
	"evenkeel/httpapi"
	"evenkeel/httpapi/keypair"
)

// testSealer seals so that a test can see what was sealed.
type testSealer struct {
	err     error
	foreign error // why it does not open what was saved elsewhere
}

func (s *testSealer) Reseal(_, saved *fsm.State) (func(*fsm.Certificate) (string, error), error) {
	if s.foreign != nil {
		return nil, s.foreign
	}
	return func(c *fsm.Certificate) (string, error) {
		if c.Name == "broken" {
			return "", errors.New("it was altered")
		}
		return base64.StdEncoding.EncodeToString([]byte("anew " + c.Name)), nil
	}, nil
}

func (s *testSealer) SealPrivateKey(_ *fsm.State, name, key string) (string, error) {
	return base64.StdEncoding.EncodeToString([]byte("\x01" + name + "\x00" + key)), s.err
}

// pairOf returns a certificate for a name that ends then, and its key, in PEM.
func pairOf(t testing.TB, name string, ends time.Duration, key crypto.Signer) (chain, private string) {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(ends)}
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

func leafOf(t testing.TB, chain string) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode([]byte(chain))
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func bodyOf(t testing.TB, fields map[string]any) string {
	t.Helper()
	text, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestACertificateIsWrittenWithItsKeyWhichIsNeverShown(t *testing.T) {
	c := newClient(t)
	key := newKey(t)
	chain, private := pairOf(t, "site.example", time.Hour, key)
	answers := []answer{
		c.send("PUT", "/v1/certificates/site", bodyOf(t, map[string]any{"chain": chain, "key": private})).want(201).
			wantAt("CN=site.example", "status", "subject").wantAt("ECDSA P-256", "status", "key"),
	}
	kept := c.cluster.State().Certificate("site")
	if want, _ := new(testSealer).SealPrivateKey(nil, "site", private); kept.Spec.SealedKey != want {
		t.Fatalf("the registry has %q", kept.Spec.SealedKey)
	}
	revision := c.cluster.State().Revision()
	same := bodyOf(t, map[string]any{"spec": map[string]any{"chain": chain, "key": private}})
	answers = append(answers,
		c.send("PUT", "/v1/certificates/site", same).want(200),
		c.send("PUT", "/v1/certificates/site", bodyOf(t, map[string]any{"chain": chain})).want(200), // without its key
		c.send("PUT", "/v1/certificates/other?dry_run=true", same).want(200))
	if c.cluster.State().Revision() != revision {
		t.Error("what was there already made a revision")
	}
	renewed, _ := pairOf(t, "site.example", 2*time.Hour, key)
	next, nextKey := pairOf(t, "site.example", 2*time.Hour, newKey(t))
	answers = append(answers,
		c.send("PUT", "/v1/certificates/site", bodyOf(t, map[string]any{"chain": renewed})).want(200),
		c.send("PATCH", "/v1/certificates/site", `{"labels":{"team":"shop"}}`).want(200),
		c.send("PATCH", "/v1/certificates/site?dry_run=true", bodyOf(t, map[string]any{"spec": map[string]any{"chain": next, "key": nextKey}})).want(200),
		c.send("GET", "/v1/certificates/site", "").want(200).wantAt("shop", "labels", "team"),
		c.send("GET", "/v1/certificates", "").want(200),
		c.send("GET", "/v1/watch?index=0&kind=certificate", ""),
		c.send("GET", "/v1/revisions?kind=certificate", "").want(200),
		c.send("GET", "/v1/revisions/1/diff/3", "").want(200))
	if now := c.cluster.State().Certificate("site"); now.Spec.Chain != renewed || now.Spec.SealedKey != kept.Spec.SealedKey {
		t.Error("the key did not stay")
	}
	fault := c.send("PUT", "/v1/certificates/site", bodyOf(t, map[string]any{"chain": next})).wantProblem(400, "invalid-object")
	if !strings.Contains(fault.faults()["/key"], "is needed") {
		t.Errorf("another key's chain alone: %s", fault.body)
	}
	for _, a := range append(answers, fault) {
		for what, text := range map[string]string{"the key": private, "another key": nextKey, "the sealed key": kept.Spec.SealedKey} {
			lines := strings.Split(strings.TrimSpace(text), "\n")
			for _, line := range lines {
				if len(line) > 20 && !strings.HasPrefix(line, "-----") && strings.Contains(a.body, line) {
					t.Fatalf("%s is shown: %s", what, a.body)
				}
			}
		}
		if strings.Contains(a.body, "sealed_key") {
			t.Errorf("there is a word of the sealed key: %s", a.body)
		}
	}
	c.send("POST", "/v1/txn", bodyOf(t, map[string]any{"operations": []any{
		map[string]any{"op": "put", "kind": "certificate", "name": "third", "spec": map[string]any{"chain": next, "key": nextKey}},
	}})).want(200)
	if want, _ := new(testSealer).SealPrivateKey(nil, "third", nextKey); c.cluster.State().Certificate("third").Spec.SealedKey != want {
		t.Error("a transaction seals no keys")
	}
	c.send("DELETE", "/v1/certificates/site", "").want(204)
}

func TestWhatNoCertificateIs(t *testing.T) {
	c := newClient(t)
	chain, private := pairOf(t, "site.example", time.Hour, newKey(t))
	_, foreign := pairOf(t, "site.example", time.Hour, newKey(t))
	expired, expiredKey := pairOf(t, "old.example", -time.Hour, newKey(t))
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	weak, weakKey := pairOf(t, "weak.example", time.Hour, short)
	before := c.cluster.State().Version()
	for name, test := range map[string]struct {
		chain, key, pointer, want string
	}{
		"another key":      {chain, foreign, "/key", "belongs to another certificate"},
		"no key":           {chain, "", "/key", "is missing"},
		"no PEM":           {chain, "secret!", "/key", "is no private key in PEM"},
		"an encrypted key": {chain, "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", "/key", "is encrypted"},
		"a damaged key":    {chain, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "/key", "cannot be used"},
		"an expired one":   {expired, expiredKey, "/chain", "expired at"},
		"a weak key":       {weak, weakKey, "/key", "of 1024 bits"},
		"no chain":         {"", private, "/chain", "no PEM"},
		"a key for chain":  {private, private, "/chain", `is a "PRIVATE KEY"`},
	} {
		t.Run(name, func(t *testing.T) {
			got := c.send("PUT", "/v1/certificates/site", bodyOf(t, map[string]any{"chain": test.chain, "key": test.key})).wantProblem(400, "invalid-object")
			if !strings.Contains(got.faults()[test.pointer], test.want) {
				t.Errorf("faults %v", got.faults())
			}
			if strings.Contains(got.body, "secret!") {
				t.Error("the key is told")
			}
		})
	}
	c.send("PUT", "/v1/certificates/site", bodyOf(t, map[string]any{"chain": chain, "sealed_key": "AQID"})).wantProblem(400, "invalid-object")
	if c.cluster.State().Version() != before {
		t.Error("something was written")
	}
}

func TestACertificateWaitsForTheDataKey(t *testing.T) {
	sealer := &testSealer{err: errors.New("the registry has no data key yet")}
	c := newClient(t, func(config *httpapi.Config) { config.Sealer = sealer })
	chain, private := pairOf(t, "site.example", time.Hour, newKey(t))
	c.send("PUT", "/v1/certificates/site", bodyOf(t, map[string]any{"chain": chain, "key": private})).want(503).wantHeader("Retry-After", "1")
	sealer.err = nil
	c.send("PUT", "/v1/certificates/site", bodyOf(t, map[string]any{"chain": chain, "key": private})).want(201)
}

func TestATransactionHasNotMoreKeysThanAreCheckedInTime(t *testing.T) {
	c := newClient(t)
	c.checked = false
	chain, private := pairOf(t, "site.example", time.Hour, newKey(t))
	operation := func(n int, fields map[string]any) map[string]any {
		return map[string]any{"op": "put", "kind": "certificate", "name": fmt.Sprint("c", n), "spec": fields}
	}
	var all []map[string]any
	for n := range keypair.MaxKeys + 2 {
		all = append(all, operation(n, map[string]any{"chain": chain, "key": private}))
	}
	for _, query := range []string{"", "?dry_run=true"} {
		got := c.send("POST", "/v1/txn"+query, bodyOf(t, map[string]any{"operations": all})).wantProblem(400, "invalid-object")
		if body := got.body; !strings.Contains(body, `"/operations/1000/spec/key"`) || !strings.Contains(body, "more than 1000 private keys: split it") {
			t.Error(body)
		}
	}
	c.send("POST", "/v1/txn", bodyOf(t, map[string]any{"operations": all[:keypair.MaxKeys]})).want(200)
	// Those that keep their keys cost next to nothing, and are not counted.
	for n := range keypair.MaxKeys {
		all[n] = operation(n, map[string]any{"chain": chain})
	}
	c.send("POST", "/v1/txn", bodyOf(t, map[string]any{"operations": all})).want(200)
}
