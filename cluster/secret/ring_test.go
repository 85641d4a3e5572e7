package secret

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
)

const ownSecret = "correct horse battery staple, and then some"

func TestParse(t *testing.T) {
	made := New()
	cases := []struct {
		name    string
		text    string
		secrets int
		faults  []string // all of them are in the error
	}{
		{"a secret that was made here", made, 1, nil},
		{"a secret of the user's own", ownSecret, 1, nil},
		{"white space and line ends of Windows", "\ufeff  " + made + " \r\n\r\n", 1, nil},
		{"comments and blank lines", "# ours\n\n" + made + "\n# old\n" + ownSecret + "\n", 2, nil},
		{"nothing", "", 0, []string{"there is none", "evenkeel secret"}},
		{"comments only", "# " + made, 0, []string{"there is none"}},
		{"one that lost its end", made[:len(made)-3], 0, []string{"line 1", "40 characters follow, 43 are due"}},
		{"one with another character", "evenkeel-!" + made[10:], 0, []string{"line 1", "copy the whole line again"}},
		{"one that is too short", "hunter2", 0, []string{"line 1", "7 bytes are too short", "at least 32"}},
		{"one that is too long", strings.Repeat(ownSecret, 30), 0, []string{"too long"}},
		{"one that can be guessed", strings.Repeat("a", 40), 0, []string{"only 1 different"}},
		{"one that is no text", strings.Repeat("\x01", 40), 0, []string{"cannot be printed"}},
		{"one in another encoding", strings.Repeat("\xff", 40), 0, []string{"cannot be printed"}},
		{"every faulty line is named", "short\n" + made + "\nalso short\n" + made, 0, []string{"line 1", "line 3", "line 4: it repeats line 2"}},
		{"more than a ring can hold", many(9), 0, []string{"9 secrets are more than the 8"}},
		{"as many as a ring can hold", many(8), 8, nil},
		{"a file that is no secret file", strings.Repeat("x", 1<<17), 0, []string{"more than a secret file can have"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			ring, err := Parse([]byte(c.text))
			if c.faults == nil {
				if err != nil || len(ring.GossipKeys()) != c.secrets {
					t.Fatalf("got %v, %v; want %d secrets", ring, err, c.secrets)
				}
				return
			}
			if err == nil {
				t.Fatal("it was accepted")
			}
			for _, fault := range c.faults {
				if !strings.Contains(err.Error(), fault) {
					t.Errorf("error %q does not say %q", err, fault)
				}
			}
			for line := range strings.Lines(c.text) {
				if line = strings.TrimSpace(line); len(line) > 5 && strings.Contains(err.Error(), line) {
					t.Errorf("error %q repeats a secret", err)
				}
			}
		})
	}
}

func many(n int) string {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "%s %d\n", ownSecret, i)
	}
	return text.String()
}

func TestNewSecretsDiffer(t *testing.T) {
	if a, b := New(), New(); a == b || strings.TrimSpace(a) != a || len(a) != 52 {
		t.Fatalf("got %q and %q", a, b)
	}
}

// Nodes that derive differently cannot talk, so what was released stays.
func TestDerivationIsForEver(t *testing.T) {
	ring := parse(t, "evenkeel-AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8")
	if got, want := hex.EncodeToString(ring.GossipKeys()[0]), "33d93ac034304218a53070d2da4a8f297be606b590a7906c0998ed59d3d2c186"; got != want {
		t.Errorf("gossip key is %s, want %s", got, want)
	}
	if got, want := hex.EncodeToString(ring.entries[0].authority.Seed()), "ee86736d5626f092fe3d0d947b6b878496b19aa342516e90a13007d636119234"; got != want {
		t.Errorf("authority seed is %s, want %s", got, want)
	}
}

func TestGossipKeysAreACopyInTheOrderOfTheSecrets(t *testing.T) {
	one, two := New(), New()
	ring := parse(t, one+"\n"+two)
	keys := ring.GossipKeys()
	if !bytes.Equal(keys[0], parse(t, one).GossipKeys()[0]) || !bytes.Equal(keys[1], parse(t, two).GossipKeys()[0]) {
		t.Fatal("keys are not in order")
	}
	clear(keys[0])
	if bytes.Equal(ring.GossipKeys()[0], keys[0]) {
		t.Fatal("the ring shares its keys with the caller")
	}
}

func TestRingPrintsWithoutKeys(t *testing.T) {
	ring := parse(t, New())
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(verb, ring); got != "1 cluster secret(s)" {
			t.Errorf("%s printed %q", verb, got)
		}
	}
	if got := ring.LogValue().String(); got != "1 cluster secret(s)" {
		t.Errorf("a log got %q", got)
	}
	if got := Loopback().String(); !strings.Contains(got, "loopback") {
		t.Errorf("without a secret it printed %q", got)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", ownSecret, New() + "\n" + New(), "# x\n\r\n" + ownSecret, "evenkeel-AA", many(9), "\xff\xfe\x00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		ring, err := Parse(text)
		if (ring == nil) == (err == nil) {
			t.Fatalf("got %v and %v", ring, err)
		}
		if err != nil {
			return
		}
		if n := len(ring.GossipKeys()); n < 1 || n > maxSecrets || ring.LoopbackOnly() {
			t.Fatalf("a ring of %d", n)
		}
	})
}

func parse(t testing.TB, text string) *Ring {
	t.Helper()
	ring, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return ring
}
