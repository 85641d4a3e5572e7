package cli_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"evenkeel/cmd/evenkeel/cli"
)

// newPair returns a certificate for some names that ends then, and its key, in PEM.
func newPair(t testing.TB, ends time.Time, names ...string) (chain, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: ends}
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

// bare returns a text without what any text of PEM has, so that a secret in another
// one is found.
func bare(text string) string { return strings.Split(text, "\n")[1] }

// site is a certificate as the API tells it.
func site(name string, ends time.Time, names ...string) string {
	if len(names) == 0 {
		names = []string{name + ".example"}
	}
	list, _ := json.Marshal(names)
	return fmt.Sprintf(`{"name":%q,"labels":{"k":"v"},"spec":{"chain":"C\n"},"status":{"subject":"CN=a","issuer":"CN=ca","names":%s,"not_before":"2026-01-02T03:04:05Z","not_after":%q,"key":"ECDSA P-256","fingerprint":"00ff"},"meta":{"uid":"u","revision":7}}`,
		name, list, ends.Format(time.RFC3339))
}

func TestACertificateIsReadFromFiles(t *testing.T) {
	ends := time.Now().Add(90*24*time.Hour + time.Hour).UTC()
	chain, key := newPair(t, ends, "a.example")
	dir := t.TempDir()
	t.Chdir(dir)
	for name, text := range map[string]string{
		"chain.pem": "subject=CN=a.example\n" + chain, "key.pem": "-----BEGIN EC PARAMETERS-----\nBggq\n-----END EC PARAMETERS-----\n" + key,
		"both.pem": key + "\n" + chain, "none.pem": "nothing\n", "long.pem": strings.Repeat("x", 2<<20),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	there := site("site", ends)
	answers := map[string][]reply{
		"POST /v1/certificates":     {{201, there}},
		"GET /v1/certificates/site": {{200, there}},
		"PUT /v1/certificates/site": {{412, problem("precondition-failed", "t", "d")}, {200, there}},
	}
	type sent struct {
		Labels map[string]string
		Spec   struct{ Chain, Key *string }
	}
	for name, test := range map[string]struct {
		line, stdin string
		code        int
		chain, key  string // sent; "": not
		err         string
	}{
		"two files": {"add site --chain-file chain.pem --key-file key.pem", "", 0, "subject=CN=a.example\n" + chain,
			"-----BEGIN EC PARAMETERS-----\nBggq\n-----END EC PARAMETERS-----\n" + key, ""},
		"one file":                      {"add site --chain-file both.pem --key-file both.pem", "", 0, "\n" + chain, key, ""},
		"a key from elsewhere":          {"add site --chain-file chain.pem --key-file -", key, 0, "subject=CN=a.example\n" + chain, key, ""},
		"a chain from elsewhere, twice": {"set site --chain-file -", chain, 0, chain, "", ""},
		"a key in the chain's file":     {"set site --chain-file both.pem", "", 0, "\n" + chain, "", ""},
		"a label alone":                 {"set site --label k=w", "", 0, "C\n", "", ""},
		"both from elsewhere":           {"add site --chain-file - --key-file -", chain + key, cli.ExitUsage, "", "", "--chain-file and --key-file both name the standard input"},
		"no key in the file":            {"add site --chain-file chain.pem --key-file none.pem", "", 1, "", "", `--key-file: file "none.pem" holds no private key in PEM`},
		"no chain in the file":          {"add site --chain-file none.pem --key-file key.pem", "", 1, "", "", `--chain-file: file "none.pem" holds no certificate in PEM`},
		"a key for a chain":             {"add site --chain-file key.pem --key-file key.pem", "", 1, "", "", `--chain-file: file "key.pem" holds no certificate in PEM`},
		"a long file":                   {"set site --chain-file long.pem", "", 1, "", "", `file "long.pem" has more than 1048576 bytes`},
		"no file":                       {"set site --key-file ghost.pem", "", 1, "", "", "--key-file: open ghost.pem"},
		"no name of a file":             {"set site --key-file=", "", cli.ExitUsage, "", "", `--key-file "" names no file`},
	} {
		t.Run(name, func(t *testing.T) {
			api := newFakeAPI(t, answers)
			got := executeApp(t, &cli.App{In: strings.NewReader(test.stdin)}, map[string]string{"EVENKEEL_API": api.url},
				append([]string{"certificate"}, strings.Fields(test.line)...)...)
			if got.code != test.code || !strings.Contains(got.err, test.err) {
				t.Fatalf("exit %d, stderr %q", got.code, got.err)
			}
			if strings.Contains(got.out+got.err, bare(key)) {
				t.Errorf("the key is printed: %s%s", got.out, got.err)
			}
			if test.code != 0 {
				if len(api.asked) > 0 && !strings.HasPrefix(api.asked[0], "GET") || len(api.asked) > 1 {
					t.Errorf("asked %q", api.asked)
				}
				return
			}
			_, body, _ := strings.Cut(strings.TrimPrefix(api.asked[len(api.asked)-1], "POST "), " {")
			var doc sent
			if err := json.Unmarshal([]byte("{"+body), &doc); err != nil {
				t.Fatalf("%v of %q", err, api.asked)
			}
			if doc.Spec.Chain == nil || *doc.Spec.Chain != test.chain || (doc.Spec.Key != nil) != (test.key != "") || doc.Spec.Key != nil && *doc.Spec.Key != test.key {
				t.Errorf("it sent %s", body)
			}
			if want := "in 90 days"; !strings.Contains(got.out, want) {
				t.Errorf("stdout %q", got.out)
			}
		})
	}
}

func TestCertificatesAreListedWithTheirEnd(t *testing.T) {
	now := time.Now().UTC()
	fresh, near, past := now.Add(400*24*time.Hour+time.Minute), now.Add(30*time.Hour+time.Minute), now.Add(-3*time.Minute-time.Second)
	api := newFakeAPI(t, map[string][]reply{
		"GET /v1/certificates":         {{200, `{"items":[` + site("fresh", fresh) + `,` + site("near", near, "a.example", "b.example", "c.example", "d.example", "e.example") + `,` + site("past", past) + `],"revision":7}`}},
		"GET /v1/certificates/past":    {{200, site("past", past)}},
		"DELETE /v1/certificates/past": {{204, ""}},
	})
	env := map[string]string{"EVENKEEL_API": api.url}
	got := execute(t, env, "certificate", "ls")
	var words [][]string
	for line := range strings.Lines(got.out) {
		words = append(words, strings.Fields(line))
	}
	for i, want := range []string{
		"NAME NAMES ISSUER EXPIRES KEY",
		"fresh fresh.example CN=ca " + fresh.Format(time.RFC3339) + ", in 400 days ECDSA P-256",
		"near a.example,b.example,c.example and 2 more CN=ca " + near.Format(time.RFC3339) + ", in 30 hours ECDSA P-256",
		"past past.example CN=ca " + past.Format(time.RFC3339) + ", EXPIRED 3 minutes ago ECDSA P-256",
	} {
		if len(words) != 4 || strings.Join(words[i], " ") != want {
			t.Errorf("line %d of %s\nis not %s", i, got.out, want)
		}
	}
	if got := execute(t, env, "certificate", "get", "past", "-o", "yaml"); !strings.Contains(got.out, "fingerprint: 00ff") {
		t.Errorf("%q %q", got.out, got.err)
	}
	if got := execute(t, env, "certificate", "rm", "past"); got.code != cli.ExitOK || got.err != "certificate past is deleted\n" {
		t.Errorf("%q %q", got.out, got.err)
	}
	if got := execute(t, env, "__complete", "certificate", "get", ""); !strings.HasPrefix(got.out, "fresh\nnear\npast\n") {
		t.Errorf("%q %q", got.out, got.err)
	}
}

func TestWhatIsWrongWithTLSIsToldBelowTheTable(t *testing.T) {
	const (
		certificate = `{"name":"site","spec":{"chain":"C"},"status":{"not_after":"2031-01-02T03:04:05Z","used_by":{"listeners":["web"],"pools":["p"]},"warnings":["it is for no host"]}}`
		unused      = `{"name":"spare","spec":{"chain":"C"},"status":{"not_after":"2031-01-02T03:04:05Z","used_by":{"listeners":[],"pools":[]}}}`
		listener    = `{"name":"web","spec":{"address":":443","protocol":"https"},"status":{"nodes":{},"warnings":["no certificate is for a.example"]}}`
		route       = `{"name":"shop","spec":{"match":{"host":"a.example"}},"status":{"warnings":["no certificate of web is for a.example"]}}`
	)
	api := newFakeAPI(t, map[string][]reply{
		"GET /v1/certificates/site":  {{200, certificate}},
		"GET /v1/certificates/spare": {{200, unused}},
		"GET /v1/certificates":       {{200, `{"items":[` + certificate + `],"revision":7}`}},
		"GET /v1/listeners/web":      {{200, listener}},
		"GET /v1/routes":             {{200, `{"items":[` + route + `],"revision":7}`}},
	})
	for line, want := range map[string]string{
		"certificate get site":  "site: warning: it is for no host\nused by listener web, pool p\n",
		"certificate get spare": "used by nothing\n",
		"certificate ls":        "site: warning: it is for no host\n",
		"listener get web":      "web: warning: no certificate is for a.example\n",
		"route ls":              "shop: warning: no certificate of web is for a.example\n",
	} {
		got := execute(t, map[string]string{"EVENKEEL_API": api.url}, strings.Split(line, " ")...)
		if _, below, _ := strings.Cut(got.out, "\n"); got.code != cli.ExitOK || !strings.HasSuffix(below, "\n"+want) {
			t.Errorf("%s: exit %d, %s%s\nwant below it: %s", line, got.code, got.out, got.err, want)
		}
	}
}

func TestADryRunNamesTheCertificates(t *testing.T) {
	ends := time.Date(2031, 1, 2, 3, 4, 5, 0, time.UTC)
	chain, key := newPair(t, ends, "a.example")
	t.Chdir(t.TempDir())
	if err := os.WriteFile("both.pem", []byte(chain+key), 0o600); err != nil {
		t.Fatal(err)
	}
	quoted, _ := json.Marshal(chain + chain)
	dry := fmt.Sprintf(`{"revision":13,"changes":[{"kind":"certificate","name":"site","action":"update","fields":[{"pointer":"/spec/chain","before":"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n","after":%s}]},{"kind":"certificate","name":"key","action":"update"}],"unchanged":0}`, quoted)
	api := newFakeAPI(t, map[string][]reply{
		"GET /v1/certificates/site":              {{200, site("site", ends)}},
		"PUT /v1/certificates/site?dry_run=true": {{200, dry}},
	})
	got := execute(t, map[string]string{"EVENKEEL_API": api.url}, "certificate", "set", "site", "--chain-file", "both.pem", "--key-file", "both.pem", "--dry-run")
	const want = "~ certificate site  chain a damaged certificate → certificate and 1 more until 2031-01-02T03:04:05Z CN=a.exam…\n~ certificate key\n"
	if got.code != cli.ExitOK || got.out != want || strings.Contains(got.err, bare(key)) {
		t.Errorf("exit %d, stdout %q, stderr %q", got.code, got.out, got.err)
	}
}
