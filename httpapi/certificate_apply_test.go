package httpapi_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"evenkeel/fsm"
	"evenkeel/httpapi"
)

// inBlock writes a text of several lines as a block of YAML.
func inBlock(text string) string {
	return "|\n      " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n      ") + "\n"
}

// certified is a manifest of a certificate; without a key if that is "".
func certified(name, chain, key string) string {
	text := "owner: shop\ncertificates:\n  - name: " + name + "\n    chain: " + inBlock(chain)
	if key != "" {
		text += "    key: " + inBlock(key)
	}
	return text
}

func TestACertificateIsAppliedWithItsKeyOrKeepsIt(t *testing.T) {
	c := newClient(t)
	key := newKey(t)
	chain, private := pairOf(t, "site.example", time.Hour, key)
	if got := c.send("POST", "/v1/apply?dry_run=true", certified("site", chain, private)).want(200); got.changes() != "create certificate site" || c.cluster.State().Revision() != 1 {
		t.Errorf("it would change %s", got.body)
	}
	if got := c.send("POST", "/v1/apply", certified("site", chain, private)).want(200); got.changes() != "create certificate site" {
		t.Errorf("it changed %s", got.body)
	}
	sealed, _ := new(testSealer).SealPrivateKey(nil, "site", private)
	if kept := c.cluster.State().Certificate("site"); kept.Spec.SealedKey != sealed || kept.Spec.Chain != chain || kept.Labels["evenkeel.owner"] != "shop" {
		t.Errorf("the registry has %+v", kept)
	}
	export := c.send("GET", "/v1/export?owner=shop", "").want(200)
	for name, text := range map[string]string{
		"the same": certified("site", chain, private), "without its key": certified("site", chain, ""), "the export": export.body,
		"the export in JSON": c.send("GET", "/v1/export?kind=certificate&format=json", "").want(200).body,
	} {
		if got := c.send("POST", "/v1/apply", text).want(200).wantAt(1.0, "unchanged"); got.changes() != "" || c.cluster.State().Revision() != 2 {
			t.Errorf("%s changes %s", name, got.body)
		}
	}
	renewed, _ := pairOf(t, "site.example", 2*time.Hour, key)
	if got := c.send("POST", "/v1/apply", certified("site", renewed, "")).want(200); !strings.HasPrefix(got.changes(), "update certificate site /spec/chain ") {
		t.Errorf("the renewal changes %s", got.changes())
	}
	if kept := c.cluster.State().Certificate("site"); kept.Spec.SealedKey != sealed || kept.Spec.Chain != renewed {
		t.Errorf("the registry has %+v", kept)
	}
	if got := c.send("POST", "/v1/apply?prune=true", "owner: shop").want(200); got.changes() != "delete certificate site" || c.cluster.State().Certificate("site") != nil {
		t.Errorf("to prune it changed %s", got.body)
	}
}

func TestACertificateOfAManifestThatCannotBeWritten(t *testing.T) {
	sealer := &testSealer{}
	c := newClient(t, func(config *httpapi.Config) { config.Sealer = sealer })
	chain, private := pairOf(t, "site.example", time.Hour, newKey(t))
	next, nextKey := pairOf(t, "site.example", time.Hour, newKey(t))
	expired, expiredKey := pairOf(t, "old.example", -time.Hour, newKey(t))
	c.send("PUT", "/v1/certificates/site", bodyOf(t, map[string]any{"chain": chain, "key": private})).want(201)
	before := c.cluster.State().Version()
	for name, test := range map[string]struct {
		text, pointer, message string
		line                   float64
	}{
		"a new one without a key":     {certified("new", chain, ""), "/certificates/0/key", "is missing: give the private key", 3},
		"another chain without a key": {certified("site", next, ""), "/certificates/0/key", "is needed: the chain's first certificate is of another key", 3},
		"another's key":               {certified("site", chain, nextKey), "/certificates/0/key", "belongs to another certificate", float64(5 + strings.Count(chain, "\n"))},
		"one that expired":            {certified("site", expired, expiredKey), "/certificates/0/chain", "expired at", 4},
		"one that is not there":       {"listeners: [{name: l, address: ':1', protocol: https, tls: {certificates: [none]}}]", "/listeners/0/tls/certificates/0", "certificate none does not exist", 1},
	} {
		for _, query := range []string{"", "?dry_run=true"} {
			got := c.send("POST", "/v1/apply"+query, test.text).wantProblem(400, "invalid-object")
			fault := got.at("faults").([]any)[0].(map[string]any)
			if fault["pointer"] != test.pointer || fault["line"] != test.line || !strings.Contains(fault["message"].(string), test.message) {
				t.Errorf("%s: %s", name, got.body)
			}
		}
	}
	sealer.err = errors.New("the registry has no data key yet")
	c.send("POST", "/v1/apply", certified("new", next, nextKey)).wantProblem(503, "not-yet").wantHeader("Retry-After", "1")
	c.send("POST", "/v1/apply", strings.TrimPrefix(certified("site", chain, ""), "owner: shop\n")).want(200).wantAt(1.0, "unchanged") // needs no sealing
	if c.cluster.State().Version() != before {
		t.Error("something was written")
	}
}

// What is kept is the key of the certificate that the apply was planned on.
func TestACertificateThatIsReplacedMeanwhileKeepsNoKeyOfTheOther(t *testing.T) {
	c := newClient(t)
	chain, private := pairOf(t, "site.example", time.Hour, newKey(t))
	c.send("PUT", "/v1/certificates/site", bodyOf(t, map[string]any{"chain": chain, "key": private})).want(201)
	attempts := 0
	c.cluster.propose = func(op fsm.Operation) (fsm.Result, error) {
		if attempts++; attempts == 1 {
			c.cluster.apply(t, fsm.Delete{Ref: fsm.Ref{Kind: fsm.KindCertificate, Name: "site"}})
		}
		return c.cluster.perform(fsm.Command{Actor: "test", Op: op}), nil
	}
	text := strings.Replace(certified("site", chain, ""), "    chain", "    labels: {a: b}\n    chain", 1)
	got := c.send("POST", "/v1/apply", text).wantProblem(400, "invalid-object")
	if fault := got.at("faults").([]any)[0].(map[string]any); fault["pointer"] != "/certificates/0/key" || fault["line"] != 3.0 || attempts != 1 {
		t.Errorf("after %d attempts: %s", attempts, got.body)
	}
}

// Whatever is done with manifests of certificates, nothing that the node answers or
// logs has anything of a key, sealed or not.
func TestNothingTellsTheKeyOfAManifest(t *testing.T) {
	var log bytes.Buffer
	c := newClient(t, func(config *httpapi.Config) {
		config.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	key := newKey(t)
	chain, private := pairOf(t, "site.example", time.Hour, key)
	next, nextKey := pairOf(t, "site.example", time.Hour, newKey(t))
	renewed, _ := pairOf(t, "site.example", 2*time.Hour, key)
	text, _ := json.Marshal(private)
	answers := []answer{
		c.send("POST", "/v1/apply?dry_run=true", certified("site", chain, private)).want(200),
		c.send("POST", "/v1/apply", certified("site", chain, private), "Idempotency-Key", "one").want(200),
		c.send("POST", "/v1/apply", certified("site", chain, private), "Idempotency-Key", "one").want(200),
		c.send("POST", "/v1/apply", certified("site", next, nextKey), "Idempotency-Key", "one").wantProblem(422, "key-reused"),
		c.send("POST", "/v1/apply?dry_run=true", certified("site", next, nextKey)).want(200),
		c.send("POST", "/v1/apply?confirm_within=1h", certified("site", next, nextKey)).want(200),
		c.send("GET", "/v1/pending", "").want(200),
		c.send("POST", "/v1/apply", certified("site", chain, nextKey)).want(400),
		c.send("POST", "/v1/apply", certified("site", private, nextKey)).want(400),
		c.send("POST", "/v1/apply", strings.Replace(certified("site", chain, private), "key: |\n", "key:\n", 1)).want(400),
		c.send("POST", "/v1/apply", strings.Replace(certified("site", chain, private), "    key: |", "    kee: |", 1)).want(400),
		c.send("POST", "/v1/apply", `{"certificates": [{"name": "a", `+string(text)+`: 1}]}`).want(400),
		c.send("POST", "/v1/apply", "kind: "+string(text)).want(400),
		c.send("GET", "/v1/revisions", "").want(200),
		c.send("GET", "/v1/revisions/2", "").want(200),
		c.send("GET", "/v1/revisions/1/diff/3", "").want(200),
		c.send("GET", "/v1/revisions/2/diff/current", "").want(200),
		c.send("POST", "/v1/revisions/3/undo", "").want(200),
		c.send("POST", "/v1/apply", certified("site", renewed, "")).want(200),
		c.send("POST", "/v1/rollback", `{"to":1}`),
		c.send("POST", "/v1/rollback?dry_run=true", `{"to":2}`),
		c.send("GET", "/v1/export", "").want(200),
		c.send("GET", "/v1/export?format=json", "").want(200),
		c.send("GET", "/v1/watch?index=0&kind=certificate", ""),
		c.send("GET", "/v1/watch?index=0", ""),
		c.send("GET", "/v1/certificates", "").want(200),
	}
	told := []string{log.String()}
	for _, a := range answers {
		told = append(told, a.body, fmt.Sprint(a.Header))
	}
	secrets := []string{}
	for _, pem := range []string{private, nextKey} {
		lines := strings.Split(strings.TrimSpace(pem), "\n")
		sealed, _ := new(testSealer).SealPrivateKey(nil, "site", pem)
		secrets = append(secrets, lines[1][:20], lines[1][20:40], lines[2][:20], sealed[:40], sealed[100:140])
	}
	for _, answer := range told {
		for _, secret := range append(secrets, "sealed_key", "dW5zZWFsZWQ6") { // the mark, in base64
			if strings.Contains(answer, secret) {
				t.Errorf("%q is told: %s", secret, answer)
			}
		}
	}
}
