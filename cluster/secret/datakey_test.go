package secret

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
)

func TestWhatIsSealedIsOpenedWithItsKeyAndContextAlone(t *testing.T) {
	k := NewDataKey()
	for _, plain := range []string{"", "x", strings.Repeat("private ", 9000)} {
		sealed := k.Seal("certificate/a", plain)
		if got, err := k.Open("certificate/a", sealed); err != nil || got != plain {
			t.Fatalf("of %d bytes it opens %d, %v", len(plain), len(got), err)
		}
		if k.Seal("certificate/a", plain) != sealed {
			t.Error("the same is sealed to something else")
		}
		if k.Seal("certificate/b", plain)[:20] == sealed[:20] {
			t.Error("two contexts share a nonce")
		}
		if _, err := k.Open("certificate/b", sealed); err == nil {
			t.Error("it opens in another context")
		}
		if _, err := NewDataKey().Open("certificate/a", sealed); err == nil {
			t.Error("it opens with another key")
		}
	}
	// What moves from the context into the text is another message.
	if a, b := k.Seal("ab", "c"), k.Seal("a", "bc"); a[:20] == b[:20] {
		t.Error("they share a nonce")
	}
}

func TestWhatWasChangedIsNotOpened(t *testing.T) {
	k := NewDataKey()
	text := k.Seal("c", "a private key")
	sealed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	for i := range sealed {
		for bit := range 8 {
			sealed[i] ^= 1 << bit
			if _, err := k.Open("c", base64.StdEncoding.EncodeToString(sealed)); err == nil {
				t.Errorf("bit %d of byte %d does not matter", bit, i)
			}
			sealed[i] ^= 1 << bit
		}
		if _, err := k.Open("c", base64.StdEncoding.EncodeToString(sealed[:i])); err == nil {
			t.Errorf("the first %d bytes are enough", i)
		}
	}
	for _, other := range []string{text + "\n", text[:8] + "\r\n" + text[8:], text + "AAAA", "*"} {
		if plain, err := k.Open("c", other); err == nil {
			t.Errorf("%q is opened as %q", other, plain)
		}
	}
}

func TestADataKeyIsUnwrappedByEachOfItsSecrets(t *testing.T) {
	one, two, three := New(), New(), New()
	k := NewDataKey()
	both := parse(t, one+"\n"+two)
	wraps := both.Wrap(k)
	if again := both.Wrap(k); len(wraps) != 2 || again[0] != wraps[0] || again[1] != wraps[1] || wraps[0].Secret != both.IDs()[0] {
		t.Fatalf("wrapped as %v, then %v", wraps, again)
	}
	for _, text := range []string{one, two, three + "\n" + two} {
		got, err := parse(t, text).Unwrap(k.ID(), wraps)
		if err != nil || got.ID() != k.ID() || got.Seal("c", "x") != k.Seal("c", "x") {
			t.Errorf("%v", err)
		}
	}
	stranger := parse(t, three)
	_, err := stranger.Unwrap(k.ID(), wraps)
	for _, want := range append(append(both.IDs(), stranger.IDs()...), k.ID()) {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error %v does not name %s", err, want)
		}
	}
	if _, err := both.Unwrap(NewDataKey().ID(), wraps); err == nil {
		t.Error("it is taken for another key")
	}
	// Of two wraps one that is sound is enough.
	wraps[0].Sealed = wraps[1].Sealed
	if _, err := both.Unwrap(k.ID(), wraps); err != nil {
		t.Error(err)
	}
	if _, err := parse(t, one).Unwrap(k.ID(), wraps); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("%v", err)
	}
}

func TestAClusterCanBeGivenItsFirstSecret(t *testing.T) {
	k := NewDataKey()
	open, closed := Loopback(), parse(t, New())
	if _, err := closed.Unwrap(k.ID(), open.Wrap(k)); err != nil {
		t.Error(err)
	}
	if _, err := open.Unwrap(k.ID(), closed.Wrap(k)); err == nil {
		t.Error("no secret opens what is wrapped under one")
	}
}

// What is sealed outlives every build.
func TestSealingIsForEver(t *testing.T) {
	ring := parse(t, "evenkeel-AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8")
	key := make([]byte, dataKeyLength)
	for i := range key {
		key[i] = byte(i)
	}
	k := dataKeyOf(key)
	for what, pair := range map[string][2]string{
		"id of the secret": {ring.IDs()[0], "66c7232034892700"},
		"id of the key":    {k.ID(), "c7799152fb4be402"},
		"sealed":           {k.Seal("certificate/a", "private"), "AbhFRsDfuSMGi2j1iPt3MT3BYz8h959lYvD3EM/y6aPojNHW"},
		"wrapped":          {ring.Wrap(k)[0].Sealed, "AW5h98GMAHZBfcWMLOl6ASMN26vfRk3aIYJ2s7Flr8QAyOmXcw9cTi5b51W6ewo3mdhMZrD0CBwNTXjoyQ=="},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %s, want %s", what, pair[0], pair[1])
		}
	}
}

func TestADataKeyPrintsWithoutTheKey(t *testing.T) {
	k := NewDataKey()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(verb, k); got != "data key "+k.ID() || strings.Contains(got, hex.EncodeToString(k.key[:4])) {
			t.Errorf("%s printed %q", verb, got)
		}
	}
	if got := k.LogValue().String(); got != "data key "+k.ID() {
		t.Errorf("a log got %q", got)
	}
}

func FuzzOpen(f *testing.F) {
	k := dataKeyOf(make([]byte, dataKeyLength))
	for _, seed := range []string{"", "AQ==", k.Seal("c", ""), k.Seal("c", "private"), k.Seal("d", "private"), k.Seal("c", "x") + "\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if plain, err := k.Open("c", text); err == nil && k.Seal("c", plain) != text {
			t.Fatalf("%q is opened, and is not what was sealed", text)
		}
	})
}
