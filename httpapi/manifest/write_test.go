package manifest_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"evenkeel/fsm"
	"evenkeel/httpapi/diff"
	"evenkeel/httpapi/manifest"
)

func write(t testing.TB, objects []fsm.AnyObject, format manifest.Format) string {
	t.Helper()
	var b bytes.Buffer
	if err := manifest.Write(&b, objects, format); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func planned(puts []fsm.Put) []fsm.AnyObject {
	objects := make([]fsm.AnyObject, len(puts))
	for i, put := range puts {
		objects[i] = diff.Planned(put)
	}
	return objects
}

func TestAManifestReadsAsAPersonWouldWriteIt(t *testing.T) {
	m := parse(t, lists)
	want := `listeners:
  - name: web
    labels:
      evenkeel.owner: shop
    address: ":8080"
routes:
  - name: all
    labels:
      evenkeel.owner: shop
      team: "7"
    match:
      host: shop.example.com
    pools:
      - name: web
        weight: 1
pools:
  - name: web
    labels:
      evenkeel.owner: shop
    strategy: least_connections
    check:
      type: http
      interval: 1s
      timeout: 1s
      rise: 2
      fall: 3
    backends:
      - name: spare
        labels:
          evenkeel.owner: shop
        address: 10.0.0.3:80
        admin_state: maint
      - name: web1
        labels:
          evenkeel.owner: shop
        address: 10.0.0.1:80
      - name: web2
        labels:
          evenkeel.owner: shop
        address: 10.0.0.2:80
        weight: 2
`
	if d := cmp.Diff(want, write(t, planned(m.Puts()), manifest.YAML)); d != "" {
		t.Error("(-want +got):\n" + d)
	}
	text := write(t, planned(m.Puts()[:1]), manifest.JSON)
	if d := cmp.Diff("{\n  \"listeners\": [\n    {\n      \"name\": \"web\",\n      \"labels\": {\n        \"evenkeel.owner\": \"shop\"\n      },\n      \"address\": \":8080\"\n    }\n  ]\n}\n", text); d != "" {
		t.Error("(-want +got):\n" + d)
	}
}

func TestAPageOfSeveralLinesStandsAsSuch(t *testing.T) {
	route := &fsm.Route{Name: "r", Spec: fsm.RouteSpec{Respond: &fsm.Respond{Status: 200, Body: "<p>\n  a: b # c\n\n</p>\n", ContentType: "text/html; charset=utf-8"}}}
	text := write(t, []fsm.AnyObject{route}, manifest.YAML)
	if !strings.Contains(text, "      body: |\n        <p>\n          a: b # c\n\n        </p>\n      content_type: text/html; charset=utf-8\n") {
		t.Error(text)
	}
}

func TestWhatCannotBeInAManifestIsRefused(t *testing.T) {
	if err := manifest.Write(&bytes.Buffer{}, []fsm.AnyObject{&fsm.Token{Name: "t"}}, manifest.YAML); err == nil {
		t.Error("a token was written")
	}
}

func TestBackendsWithoutTheirPoolNameIt(t *testing.T) {
	b := &fsm.Backend{Pool: "p", Name: "a"}
	b.Spec.SetDefaults()
	b.Spec.Address = "a:1"
	if got, want := write(t, []fsm.AnyObject{b}, manifest.YAML), "backends:\n  - name: a\n    pool: p\n    address: a:1\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestNothingIsWrittenAsAManifestOfNothing(t *testing.T) {
	for _, format := range []manifest.Format{manifest.YAML, manifest.JSON} {
		if text := write(t, nil, format); text != "{}\n" {
			t.Errorf("%q", text)
		}
	}
}

// odd are texts that one reader of YAML or other would not read as they are.
var odd = []string{"", "no", "on", "Y", "1e3", "012", "0x1F", "~", "null", "Null", ": #", "a: b", "a #b", "#", "- a", "-", "---", "...", "!x", "&x", "*x",
	"'", "\"", "\\", "{}", "[a]", "a,b", " a", "a ", "\ta", "x\ny", "x\n", "x\n\n", "\nx", "x\n y\n", " x\ny", "x \ny", "x\n\ty", "x\r\ny", "\r", "é", "日本", "😀",
	"\u2028", "\ufeff", "\ufeffa\nb", "\x7f", "\u0085", "\ufffd", "2024-01-01", "10:30", "1_000", ".inf", "=", "<<", "@", "`", "%", "?", "? a", "a:", ":a", "true", "{", "}", "|", ">", "x\n#y", "x\n---\ny", "---\nx", "\u200bx", "\U000e0001"}

// text draws an odd text, or a random one of at most that many bytes.
func text(most int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		s := rapid.OneOf(
			rapid.SampledFrom(odd),
			rapid.StringOf(rapid.SampledFrom([]rune("ab:# -'\"\\\n\t,[]{}é\u2028~%&*!|>0"))),
			rapid.String(),
		).Draw(t, "text")
		s = strings.ToValidUTF8(s, "?")
		for len(s) > most {
			s = s[:len(s)-1]
		}
		return strings.ToValidUTF8(s, "")
	})
}

func name(t *rapid.T) string {
	return rapid.StringMatching(`[a-z]([a-z0-9-]{0,3}[a-z0-9])?`).Draw(t, "name")
}

func labels(t *rapid.T) map[string]string {
	return rapid.MapOfN(text(40).Filter(func(s string) bool { return s != "" }), text(200), 0, 4).Draw(t, "labels")
}

// registry draws objects that are valid each for itself.
func registry(t *rapid.T) []fsm.AnyObject {
	seen := map[fsm.Ref]bool{}
	var objects []fsm.AnyObject
	addresses := 0
	for range rapid.IntRange(0, 6).Draw(t, "objects") {
		put := fsm.Put{Name: name(t), Labels: labels(t)}
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			spec := fsm.ListenerSpec{}
			spec.SetDefaults()
			spec.Address = ":80"
			if rapid.Bool().Draw(t, "forwarding") {
				spec.Forwarding = &fsm.Forwarding{Via: rapid.Bool().Draw(t, "via")}
			}
			put.Spec = spec
		case 1:
			put.Spec = route(t)
		case 2:
			put.Spec = pool(t)
		case 3:
			spec := fsm.BackendSpec{}
			spec.SetDefaults()
			addresses++
			spec.Address = fmt.Sprintf("10.0.0.1:%d", addresses)
			spec.Weight, spec.Tier = rapid.IntRange(0, 3).Draw(t, "weight"), rapid.IntRange(0, 2).Draw(t, "tier")
			spec.AdminState = rapid.SampledFrom([]fsm.AdminState{fsm.AdminReady, fsm.AdminDrain, fsm.AdminMaint}).Draw(t, "state")
			spec.DrainTimeout = fsm.Duration(rapid.SampledFrom([]time.Duration{0, time.Second, 1500 * time.Millisecond}).Draw(t, "drain"))
			put.Pool, put.Spec = name(t), spec
		}
		if seen[put.Ref()] || fsm.Validate(put) != nil {
			continue
		}
		seen[put.Ref()] = true
		objects = append(objects, diff.Planned(put))
	}
	return objects
}

func route(t *rapid.T) fsm.RouteSpec {
	spec := fsm.RouteSpec{Priority: rapid.IntRange(-2, 2).Draw(t, "priority")}
	spec.Match.Query = []fsm.ValueMatch{{Name: text(20).Filter(func(s string) bool { return s != "" }).Draw(t, "query"), Value: text(20).Draw(t, "value")}}
	spec.Respond = &fsm.Respond{Status: 200, Body: text(400).Draw(t, "body"), ContentType: "text/plain"}
	if rapid.Bool().Draw(t, "pages") {
		spec.ErrorPages = []fsm.ErrorPage{{Status: 503, Body: text(400).Draw(t, "page"), ContentType: "text/html; charset=utf-8"}}
	}
	return spec
}

func pool(t *rapid.T) fsm.PoolSpec {
	spec := fsm.PoolSpec{}
	spec.SetDefaults()
	spec.Strategy = rapid.SampledFrom([]string{fsm.StrategyRandom, fsm.StrategyWeightedRoundRobin}).Draw(t, "strategy")
	if rapid.Bool().Draw(t, "check") {
		spec.Check = &fsm.Check{}
		spec.Check.SetDefaults()
		spec.Check.Send, spec.Check.Receive = text(100).Draw(t, "send"), text(100).Draw(t, "receive")
	}
	return spec
}

// checkRoundTrip holds that what is written is read to the same objects.
func checkRoundTrip(t rapid.TB, objects []fsm.AnyObject, format manifest.Format) {
	var b bytes.Buffer
	if err := manifest.Write(&b, objects, format); err != nil {
		t.Fatal(err)
	}
	for _, said := range []manifest.Format{format, ""} {
		m, faults := manifest.Parse(b.Bytes(), manifest.Options{Format: said})
		if len(faults) > 0 {
			t.Fatalf("%s\n%s", b.String(), describe(faults))
		}
		puts := sortedPuts(m)
		want := slices.Clone(objects)
		slices.SortFunc(want, func(a, b fsm.AnyObject) int { return strings.Compare(a.Ref().String(), b.Ref().String()) })
		if len(puts) != len(want) {
			t.Fatalf("%d objects of %d\n%s", len(puts), len(want), b.String())
		}
		for i, put := range puts {
			if change, changed := diff.Of(want[i], diff.Planned(put)); changed || put.Ref() != want[i].Ref() {
				t.Fatalf("%s is read as %s, with %v\n%s", want[i].Ref(), put.Ref(), change.Fields, b.String())
			}
		}
	}
}

func TestWhatIsWrittenIsReadToTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		checkRoundTrip(t, registry(t), rapid.SampledFrom([]manifest.Format{manifest.YAML, manifest.JSON}).Draw(t, "format"))
	})
	for _, s := range odd {
		b := &fsm.Route{Name: "r", Labels: map[string]string{}, Spec: fsm.RouteSpec{Respond: &fsm.Respond{Status: 200, Body: s, ContentType: "text/plain"}}}
		if !strings.ContainsFunc(s, unicode.IsControl) { // which labels do not take
			b.Labels["k"] = s
			if s != "" {
				b.Labels[s] = "v"
			}
		}
		checkRoundTrip(t, []fsm.AnyObject{b}, manifest.YAML)
		checkRoundTrip(t, []fsm.AnyObject{b}, manifest.JSON)
	}
}
