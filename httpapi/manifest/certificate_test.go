package manifest_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"evenkeel/fsm"
	"evenkeel/httpapi/keypair"
	"evenkeel/httpapi/manifest"
)

var ends = time.Date(2031, 1, 2, 3, 4, 5, 0, time.UTC)

func newPair(t testing.TB) (chain, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a.example"}, NotBefore: ends.Add(-time.Hour), NotAfter: ends}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}))
}

// block writes a text of several lines as one of YAML.
func block(text, indent string) string {
	return "|\n" + indent + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n"+indent) + "\n"
}

// secure is a manifest with a certificate that a listener and a pool show.
func secure(chain, key string) string {
	text := "owner: shop\nlisteners:\n- name: secure\n  address: ':443'\n  protocol: https\n  tls: {certificates: [site]}\n" +
		"pools:\n- name: web\n  tls: {certificate: site}\ncertificates:\n- name: site\n  chain: " + block(chain, "    ")
	if key != "" {
		text += "  key: " + block(key, "    ")
	}
	return text
}

// seal stands for what a node does.
func seal(c *cluster) func(fsm.Put) (fsm.Put, []fsm.Fault) {
	return func(put fsm.Put) (fsm.Put, []fsm.Fault) {
		spec := put.Spec.(fsm.CertificateSpec)
		key, unsealed := keypair.Key(spec)
		there := c.state.Certificate(put.Name)
		switch {
		case !unsealed:
			return put, []fsm.Fault{{Message: "is sealed already"}}
		case key != "":
			spec.SealedKey = base64.StdEncoding.EncodeToString([]byte("\x01" + key))
		case there == nil:
			return put, []fsm.Fault{keypair.Missing()}
		default:
			spec.SealedKey = there.Spec.SealedKey
		}
		put.Spec = spec
		return put, nil
	}
}

func TestACertificateIsAppliedBeforeWhatShowsItAndPrunedAfter(t *testing.T) {
	c := newCluster(t)
	chain, key := newPair(t)
	options := manifest.PlanOptions{Prune: true, Seal: seal(c)}
	p := plan(t, c, secure(chain, key), options)
	if d := cmp.Diff([]string{"put certificate site", "put pool web", "put listener secure"}, steps(p)); d != "" {
		t.Error("(-want +got):\n" + d)
	}
	told, err := json.Marshal(p.Diff)
	if err != nil || bytes.Contains(told, []byte("sealed_key")) || bytes.Contains(told, []byte("PRIVATE")) {
		t.Errorf("the diff tells %s, %v", told, err)
	}
	c.apply(t, p.Operation())
	for name, text := range map[string]string{"again": secure(chain, key), "without its key": secure(chain, "")} {
		if p = plan(t, c, text, options); len(p.Steps) > 0 || p.Diff.Unchanged != 3 {
			t.Errorf("%s: %v", name, steps(p))
		}
	}
	_, faults := parse(t, "owner: shop\nlisteners: [{name: secure, address: ':443', protocol: https, tls: {certificates: [site]}}]").Plan(c.state, options)
	if len(faults) != 1 || !strings.Contains(faults[0].String(), "2:83: /listeners/0/tls/certificates/0: certificate site does not exist") {
		t.Errorf("a certificate that is needed is pruned: %s", describe(faults))
	}
	p = plan(t, c, "owner: shop", options)
	if d := cmp.Diff([]string{"delete at 2 listener secure", "delete at 2 pool web", "delete at 2 certificate site"}, steps(p)); d != "" {
		t.Error("(-want +got):\n" + d)
	}
}

func TestACertificateIsWrittenWithoutItsKey(t *testing.T) {
	chain, _ := newPair(t)
	o := &fsm.Certificate{Name: "site", Spec: fsm.CertificateSpec{Chain: chain, SealedKey: "AQID"}}
	if got, want := write(t, []fsm.AnyObject{o}, manifest.YAML), "certificates:\n  - name: site\n    chain: "+block(chain, "      "); got != want {
		t.Errorf("%s\nis not\n%s", got, want)
	}
	if got := write(t, []fsm.AnyObject{o}, manifest.JSON); strings.Contains(got, "key") {
		t.Error(got)
	}
	m := parse(t, write(t, []fsm.AnyObject{o}, manifest.YAML))
	if faults := m.Keyless(); len(faults) != 1 || !strings.HasPrefix(faults[0].String(), "2:5: /certificates/0/key: is missing") {
		t.Errorf("%s", describe(faults))
	}
}

func TestFaultsOfCertificates(t *testing.T) {
	chain, key := newPair(t)
	_, foreign := newPair(t)
	for name, test := range map[string]struct {
		text string
		now  time.Time
		want []string
	}{
		"another's key":           {secure(chain, foreign), ends, []string{fmt.Sprintf("%d:3: /certificates/0/key: belongs to another certificate", 13+strings.Count(chain, "\n"))}},
		"an end":                  {secure(chain, key), ends.Add(time.Second), []string{"12:3: /certificates/0/chain: the certificate of CN=a.example expired"}},
		"an end without its key":  {secure(chain, ""), ends.Add(time.Second), nil},
		"no chain":                {"certificates:\n- name: a\n  key: " + block(key, "    "), ends, []string{"2:3: /certificates/0/chain: item 1 is no PEM"}},
		"nothing":                 {"certificates: [{name: a, key: x}]", ends, []string{"1:16: /certificates/0/chain: item 1 is no PEM", "1:26: /certificates/0/key: is no private key in PEM"}},
		"what nodes write":        {"certificates: [{name: a, sealed_key: AQID}]", ends, []string{`1:26: /certificates/0/sealed_key: "sealed_key" is not a known field`, "1:16: /certificates/0/chain"}},
		"a chain the wrong way":   {secure(chain+strings.Replace(chain, "x", "x", 1), key), ends, nil}, // it is from itself
		"a number for a key":      {"certificates: [{name: a, chain: x, key: 1}]", ends, []string{"/certificates/0/key: 1 is a number, must be a string", "/certificates/0/chain"}},
		"as one object":           {"kind: certificate\nname: a\nspec: {chain: x}", ends, []string{"3:8: /spec/chain: item 1 is no PEM"}},
		"what is not there":       {"pools: [{name: p, tls: {certificate: Site}}]", ends, []string{`1:25: /pools/0/tls/certificate: "Site" is not a DNS label`}},
		"a key beside the object": {"key: " + block(key, "  "), ends, []string{`1:1: /key: "key" is a field of an object`}},
	} {
		_, faults := manifest.Parse([]byte(test.text), manifest.Options{Now: test.now})
		ok := len(faults) == len(test.want)
		for i := 0; ok && i < len(faults); i++ {
			ok = strings.Contains(faults[i].String(), test.want[i])
		}
		if !ok {
			t.Errorf("%s: got\n%s\nwant\n%s", name, describe(faults), strings.Join(test.want, "\n"))
		}
	}
	m := parse(t, strings.Replace(secure(chain, key), "name: site", "name: other", 1))
	if faults := m.References(nil); len(faults) != 2 || !strings.Contains(describe(faults), "6:24: /listeners/0/tls/certificates/0: certificate site does not exist") ||
		!strings.Contains(describe(faults), "9:9: /pools/0/tls/certificate: certificate site does not exist") {
		t.Errorf("%s", describe(faults))
	}
}

func TestKeysAreBounded(t *testing.T) {
	chain, key := newPair(t)
	quotedChain, _ := json.Marshal(chain)
	quotedKey, _ := json.Marshal(key)
	var text strings.Builder
	for i := range keypair.MaxKeys + 2 {
		fmt.Fprintf(&text, `,{"name":"c%d","chain":%s,"key":%s}`, i, quotedChain, quotedKey)
	}
	_, faults := manifest.Parse([]byte(`{"certificates":[`+text.String()[1:]+`]}`), manifest.Options{})
	if len(faults) != 2 || faults[0].Pointer != "/certificates/1000/key" || !strings.Contains(faults[0].Message, "more than 1000 private keys: split it") {
		t.Errorf("%s", describe(faults))
	}
}

// A key in a place where it does not belong is not quoted, as another text is.
func TestNoFaultHasAnythingOfAKey(t *testing.T) {
	chain, key := newPair(t)
	lines := strings.Split(strings.TrimSpace(key), "\n")
	quoted, _ := json.Marshal(key)
	for name, text := range map[string]string{
		"without an indentation": "certificates:\n- name: a\n  key: |\n" + key,
		"without a block":        "certificates:\n- name: a\n  key:\n    " + strings.ReplaceAll(key, "\n", "\n    "),
		"as fields":              "certificates:\n- name: a\n  key:\n    " + strings.Join(lines, ": a\n    ") + ": b\n",
		"as a kind":              "kind: " + string(quoted) + "\nname: a",
		"as an owner":            "owner: x\n---\nowner: " + string(quoted),
		"as a name":              "pools:\n- name: " + string(quoted),
		"as names":               "pools:\n- name: " + lines[0] + "\n- name: " + lines[1] + "\n",
		"as a chain":             secure(key, key),
		"as a number":            "pools: [{name: p, panic_percent: " + string(quoted) + "}]",
		"as a strategy":          "pools: [{name: p, strategy: " + string(quoted) + "}]",
		"as a list":              string(quoted),
		"as a reference":         "routes: [{name: a, pools: [{name: " + string(quoted) + "}]}]",
		"in JSON":                `{"kind": ` + string(quoted) + `}`,
		"as a field of JSON":     `{"certificates": [{"name": "a", ` + string(quoted) + `: 1}]}`,
		"in damaged JSON":        `{"certificates": [{"name": "a", "key": ` + strings.ReplaceAll(string(quoted), `\n`, "\n") + `}]}`,
		"twice":                  secure(chain, key) + "  key: " + block(key, "    "),
		"as an alias":            "pools: [*" + lines[1] + "]\n# " + lines[0] + lines[1],
	} {
		_, faults := manifest.Parse([]byte(text), manifest.Options{})
		if len(faults) == 0 {
			t.Errorf("%s: no fault", name)
		}
		for _, line := range lines[1 : len(lines)-1] {
			for at := 0; at+20 <= len(line); at++ {
				if strings.Contains(describe(faults), line[at:at+20]) {
					t.Errorf("%s: %s", name, describe(faults))
					break
				}
			}
		}
	}
}

func TestASlashInAKeyHidesNothingOfItsPlace(t *testing.T) {
	const line = "abcdef/ghijklmnopqrst/uvwxyz0123456789"
	key := "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqG\n" + line + "\n-----END PRIVATE KEY-----"
	quoted, _ := json.Marshal(key)
	for name, text := range map[string]string{
		"as a field":      `{"pools": [{"name": "a", ` + string(quoted) + `: 1}]}`,
		"as a line":       `{"pools": [{"name": "a", "` + line + `": ` + string(quoted) + `}]}`,
		"behind others":   `{"routes": [{"name": "a", "match": {"` + line + `": ` + string(quoted) + `}}]}`,
		"escaped slashes": `{"pools": [{"name": "a", ` + strings.ReplaceAll(string(quoted), "/", `\/`) + `: 1}]}`,
	} {
		_, faults := manifest.Parse([]byte(text), manifest.Options{})
		told := strings.ReplaceAll(describe(faults), "~1", "/")
		if len(faults) == 0 || !strings.Contains(told, "(of a private key)") {
			t.Errorf("%s: %q", name, told)
		}
		for at := 0; at+16 <= len(line); at++ {
			if strings.Contains(told, line[at:at+16]) {
				t.Errorf("%s: %s", name, told)
				break
			}
		}
	}
}
