package e2e

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"evenkeel/e2e/harness"
)

// traces are byte sequences of which each would give a private key away: its
// scalar and its encoding, raw, in hex and in base64 at each alignment, and the
// lines of its PEM.
type traces map[string][]byte

func tracesOf(t *testing.T, pair harness.Pair) traces {
	t.Helper()
	block, _ := pem.Decode([]byte(pair.Key))
	private, ok := pair.TLS.PrivateKey.(*ecdsa.PrivateKey)
	if block == nil || !ok {
		t.Fatal("a key of a test is none in PEM, or not of ECDSA")
	}
	scalar, err := private.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	found := traces{}
	for what, secret := range map[string][]byte{"the scalar": scalar, "the key's DER": block.Bytes, "the key's PEM": []byte(pair.Key)} {
		found[what] = secret
		found[what+" in hex"] = []byte(hex.EncodeToString(secret))
		for shift := range 3 {
			// What stands before and behind it takes part in the characters at the ends.
			encoded := base64.StdEncoding.EncodeToString(append(make([]byte, shift), secret...))
			found[fmt.Sprintf("%s in base64, shifted by %d", what, shift)] = []byte(encoded[4 : len(encoded)-4])
		}
	}
	lines := strings.Split(strings.TrimSpace(pair.Key), "\n")
	for n, line := range lines[1 : len(lines)-1] {
		found[fmt.Sprintf("line %d of the key's PEM", n+1)] = []byte(line)
	}
	return found
}

// in reports every trace that there is.
func (all traces) in(t *testing.T, where string, data []byte) {
	t.Helper()
	for what, trace := range all {
		if bytes.Contains(data, trace) {
			t.Errorf("%s has %s", where, what)
		}
	}
}

// TestNoPrivateKeyIsShownOrWrittenByAnyNode writes keys in every way that there is,
// and looks for them in whatever the nodes say and keep.
func TestNoPrivateKeyIsShownOrWrittenByAnyNode(t *testing.T) {
	authority := harness.NewAuthority(t, "an authority")
	first, second, third := authority.Issue(t, "first", "a.example"), authority.Issue(t, "second", "a.example"), authority.Issue(t, "third", "c.example")
	s := startSecured(t, authority, nil, map[string]harness.Pair{"site": first})
	ctx, cancel := context.WithTimeout(t.Context(), 2*harness.Patience)
	defer cancel()
	stream := openEvents(t, ctx, s.Nodes[1], "", "")
	stream.until(t, func(e serverEvent) bool { return e.kind == "sync" })

	said := map[string][]byte{}
	s.put(t, s.Nodes[1], "site", second)
	transaction, err := json.Marshal(map[string]any{"operations": []any{map[string]any{
		"op": "put", "kind": "certificate", "name": "other", "spec": map[string]any{"chain": third.Chain, "key": third.Key}}}})
	if err != nil {
		t.Fatal(err)
	}
	said["the answer to a transaction"] = s.Nodes[2].Write(t, http.MethodPost, "/v1/txn", transaction).Body
	// What is refused is told without the key too.
	for what, body := range map[string]map[string]any{
		"a key of another certificate": {"chain": third.Chain, "key": first.Key},
		"a key that is cut off":        {"chain": first.Chain, "key": first.Key[:len(first.Key)-40]},
		"a chain in place of a key":    {"chain": first.Key, "key": first.Chain},
		"a field that there is not":    {"chain": first.Chain, "key": first.Key, "private": first.Key},
	} {
		answer, err := s.Nodes[0].Call(http.MethodPut, "/v1/certificates/wrong", body)
		if err != nil || answer.Status != http.StatusBadRequest && answer.Status != http.StatusUnprocessableEntity {
			t.Fatalf("%s: %v, %v", what, answer, err)
		}
		said["the refusal of "+what] = answer.Body
	}
	for last := 0; last < 2; { // both writes were told to the watcher
		event := stream.next(t)
		said["a watcher's "+event.kind] = append(said["a watcher's "+event.kind], event.data...)
		if strings.Contains(event.data, `"certificate"`) {
			last++
		}
	}
	s.waitShown(t, s.client("c.example"), "third")
	s.waitShown(t, s.client("a.example"), "second")
	s.WaitSame(t)
	for _, node := range s.Nodes {
		for _, path := range []string{"/v1/certificates", "/v1/certificates/site", "/v1/certificates/other", "/v1/export", "/v1/revisions", "/v1/revisions/1/diff/" + revision(t, node),
			"/v1/revisions/" + revision(t, node), "/v1/snapshot", "/v1/listeners/secure", "/metrics", "/v1/explain?listener=secure&url=https://a.example/", "/v1/cluster", "/v1/nodes"} {
			answer, err := node.Call(http.MethodGet, path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if answer.Status != http.StatusOK && !strings.Contains(path, "revisions") { // an early one may be forgotten
				t.Errorf("GET %s: %d %s", path, answer.Status, answer.Body)
			}
			said[node.Name+": GET "+path] = answer.Body
		}
	}
	for _, node := range s.Nodes {
		node.Kill()
		said["the log of "+node.Name] = []byte(node.Log(t))
		for name, content := range filesOf(t, node.Dir) {
			said[name] = content
		}
	}
	// Else this would look in the wrong places.
	if !bytes.Contains(said["n1: GET /v1/certificates"], []byte("CN=second")) || !bytes.Contains(said["a watcher's put"], []byte("CERTIFICATE")) {
		t.Errorf("what is looked at has no certificates: %s, %s", said["n1: GET /v1/certificates"], said["a watcher's put"])
	}
	for where, data := range said {
		for _, pair := range []harness.Pair{first, second, third} {
			tracesOf(t, pair).in(t, where, data)
		}
	}
}

// revision returns the registry's, as the node has it.
func revision(t *testing.T, node *harness.Node) string {
	t.Helper()
	info, err := node.Cluster()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(info.Revision)
}

// filesOf reads all files of a directory.
func filesOf(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		files[name], err = os.ReadFile(name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestTheTracesOfAKeyAreFoundWhereItIs(t *testing.T) {
	pair := harness.NewAuthority(t, "an authority").Issue(t, "a certificate", "a.example")
	all := tracesOf(t, pair)
	scalar := all["the scalar"]
	for what, data := range map[string][]byte{
		"PEM in JSON":            []byte(strings.ReplaceAll(pair.Key, "\n", `\n`)),
		"a scalar among others":  append([]byte("begins"), append(scalar[:len(scalar):len(scalar)], "ends"...)...),
		"base64 of a longer one": []byte(base64.StdEncoding.EncodeToString([]byte("unsealed:" + pair.Key))),
		"base64, shifted by one": []byte(base64.StdEncoding.EncodeToString(append([]byte{7}, pair.Key...))),
	} {
		found := false
		for _, trace := range all {
			found = found || bytes.Contains(data, trace)
		}
		if !found {
			t.Errorf("a key is not found in %s", what)
		}
	}
}
