package fsm

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// fullBackend has every field set that is copied, and to what can be.
func fullBackend() *Backend {
	at := time.Date(2026, 7, 8, 9, 10, 11, 120_000_000, time.UTC)
	return &Backend{
		Pool: "a", Name: "web1", Labels: map[string]string{"b": "2", "a": "1"},
		Spec: BackendSpec{Address: "10.0.0.5:9000", Weight: 5, Tier: 1, Zone: "z1", AdminState: AdminDrain},
		Status: BackendStatus{
			Health: HealthDown, Since: 12, Generation: 9,
			Votes: []Vote{
				{"n1", HealthDown, 9, "dial tcp 10.0.0.5:9000: connection refused", at, 0},
				{"n2", HealthUp, 8, "", at.Add(time.Nanosecond), 25},
			},
			Reduction: 25, Ramp: 7, Flaps: 3, Held: true, Epoch: 4, FlapEpoch: 2,
		},
		Meta: Meta{"8f14e45f-ceea-867a-9a36-0011223344ff", 9, at, at.Add(time.Hour), "someone"},
	}
}

// rareBackends have what is left to encoding/json, one thing each.
func rareBackends() map[string]*Backend {
	drained, overridden, draining, renewed := fullBackend(), fullBackend(), fullBackend(), fullBackend()
	drained.Spec.DrainTimeout = Duration(time.Minute)
	overridden.Status.Override = &Override{HealthUp, Duration(time.Hour), "for a test", "someone", overridden.Meta.Created, 3}
	draining.Status.Drain = &Drain{DrainUnderWay, []string{"n1"}, 2}
	renewed.Spec.TTL = Duration(time.Minute)
	return map[string]*Backend{"drained": drained, "overridden": overridden, "draining": draining, "renewed": renewed}
}

// TestEveryFieldOfABackendIsTried fails when there is a field that no backend of
// these tests sets: nothing would notice that the JSON written by hand lacks it.
func TestEveryFieldOfABackendIsTried(t *testing.T) {
	set, fields := map[string]bool{}, 0
	visit := func(name string, v reflect.Value) {
		for _, of := range []string{".Created.", ".Modified.", ".At."} {
			if strings.Contains(name, of) {
				return // what a time is made of
			}
		}
		fields++
		set[name] = set[name] || !v.IsZero()
	}
	walkFields(reflect.ValueOf(*fullBackend()), "backend", visit)
	for _, rare := range rareBackends() {
		walkFields(reflect.ValueOf(*rare), "backend", visit)
	}
	for name, is := range set {
		if !is {
			t.Errorf("%s is not set", name)
		}
	}
	if fields < 20 {
		t.Errorf("only %d fields were looked at", fields)
	}
}

// checkBackendJSON holds what is written and read by hand against encoding/json,
// and tells whether anything is.
func checkBackendJSON(t interface {
	Helper()
	Fatalf(string, ...any)
}, b *Backend,
) (byHand bool) {
	t.Helper()
	written, ok := appendBackend([]byte("before "), b)
	text, err := json.Marshal(b)
	if !ok {
		return false
	}
	if err != nil || string(written) != "before "+string(text) {
		t.Fatalf("it is written as\n%s, and by encoding/json as\n%s: %v", written, text, err)
	}
	var want Backend
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	var reader backendReader
	if got := reader.read(text); got == nil || !reflect.DeepEqual(*got, want) {
		t.Fatalf("%s is read as\n%+v, and by encoding/json as\n%+v", text, got, want)
	}
	return true
}

func TestABackendIsWrittenAndReadAsEncodingJSONDoes(t *testing.T) {
	with := func(change func(*Backend)) *Backend {
		b := fullBackend()
		change(b)
		return b
	}
	zone := time.FixedZone("", 3600)
	for name, of := range map[string]struct {
		*Backend
		byHand bool
	}{
		"with everything":                {fullBackend(), true},
		"with nothing":                   {&Backend{}, true},
		"with empty lists":               {&Backend{Labels: map[string]string{}, Status: BackendStatus{Votes: []Vote{}}}, true},
		"with the largest numbers":       {with(func(b *Backend) { b.Status.Since, b.Spec.Weight = math.MaxUint64, math.MaxInt }), true},
		"with another drain's timeout":   {rareBackends()["drained"], true},
		"with an override":               {rareBackends()["overridden"], false},
		"with a drain":                   {rareBackends()["draining"], false},
		"with a number below 0":          {with(func(b *Backend) { b.Spec.Weight = -1 }), false},
		"with a quote":                   {with(func(b *Backend) { b.Meta.Actor = `a"b` }), false},
		"with a backslash":               {with(func(b *Backend) { b.Status.Votes[0].Reason = `a\b` }), false},
		"with a control character":       {with(func(b *Backend) { b.Status.Votes[1].Reason = "a\nb" }), false},
		"with what HTML knows":           {with(func(b *Backend) { b.Labels["c"] = "<&>" }), false},
		"with letters beyond ASCII":      {with(func(b *Backend) { b.Labels["é"] = "" }), false},
		"with a separator of lines":      {with(func(b *Backend) { b.Name = "\u2028" }), false},
		"with what is no text":           {with(func(b *Backend) { b.Name = "\xff" }), false},
		"with a time of another zone":    {with(func(b *Backend) { b.Meta.Created = b.Meta.Created.In(zone) }), false},
		"with a time that JSON has not":  {with(func(b *Backend) { b.Meta.Modified = b.Meta.Modified.AddDate(8000, 0, 0) }), false},
		"with a vote's time beyond JSON": {with(func(b *Backend) { b.Status.Votes[0].At = b.Meta.Modified.AddDate(-4000, 0, 0) }), false},
	} {
		written, _ := appendBackend(nil, of.Backend)
		var reader backendReader
		if name == "with a number below 0" { // it is written, and left to encoding/json to read
			if text, err := json.Marshal(of.Backend); err != nil || string(text) != string(written) || reader.read(text) != nil {
				t.Errorf("%s: %s, want %s: %v", name, written, text, err)
			}
			continue
		}
		if byHand := checkBackendJSON(t, of.Backend); byHand != of.byHand {
			t.Errorf("a backend %s: by hand is %v", name, byHand)
		}
	}
}

func TestAnyBackendIsWrittenAndReadAsEncodingJSONDoes(t *testing.T) {
	text := rapid.OneOf(rapid.StringN(0, 8, -1), rapid.StringMatching(`[ -~]{0,8}`), rapid.StringMatching(`[a-z0-9.:-]{0,8}`))
	at := rapid.Custom(func(t *rapid.T) time.Time {
		return time.Unix(rapid.Int64Range(-1<<36, 1<<38).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).UTC()
	})
	rapid.Check(t, func(t *rapid.T) {
		b := &Backend{Pool: text.Draw(t, "pool"), Name: text.Draw(t, "name"), Labels: rapid.MapOfN(text, text, 0, 3).Draw(t, "labels")}
		b.Spec = BackendSpec{text.Draw(t, "address"), rapid.IntMin(0).Draw(t, "weight"), rapid.IntMin(0).Draw(t, "tier"), text.Draw(t, "zone"), AdminState(text.Draw(t, "state")), 0, Duration(rapid.SampledFrom([]int64{0, 0, 0, 5e9}).Draw(t, "ttl"))}
		b.Status = BackendStatus{
			Health: Health(text.Draw(t, "health")), Since: rapid.Uint64().Draw(t, "since"), Generation: rapid.Uint64().Draw(t, "generation"),
			Reduction: rapid.Int().Draw(t, "reduction"), Ramp: rapid.Uint64().Draw(t, "ramp"), Flaps: rapid.IntMin(0).Draw(t, "flaps"),
			Held: rapid.Bool().Draw(t, "held"), Epoch: rapid.Uint64().Draw(t, "epoch"), FlapEpoch: rapid.Uint64().Draw(t, "flap epoch"),
		}
		for range rapid.IntRange(0, 3).Draw(t, "votes") {
			b.Status.Votes = append(b.Status.Votes, Vote{text.Draw(t, "observer"), Health(text.Draw(t, "vote")), rapid.Uint64().Draw(t, "of"), text.Draw(t, "reason"), at.Draw(t, "at"), rapid.IntMin(0).Draw(t, "reduction")})
		}
		b.Meta = Meta{text.Draw(t, "uid"), rapid.Uint64().Draw(t, "revision"), at.Draw(t, "created"), at.Draw(t, "modified"), text.Draw(t, "actor")}
		checkBackendJSON(t, b)
	})
}

// FuzzBackendJSON: whatever is read by hand is what encoding/json reads, and is
// written alike.
func FuzzBackendJSON(f *testing.F) {
	for _, b := range []*Backend{{}, fullBackend(), {Labels: map[string]string{}, Status: BackendStatus{Votes: []Vote{}}}} {
		text, err := json.Marshal(b)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var reader backendReader
		got := reader.read(text)
		if got == nil {
			return
		}
		var want Backend
		if err := decodeStrict(text, &want); err != nil || !reflect.DeepEqual(*got, want) {
			t.Fatalf("%s is read as\n%+v, and by encoding/json as\n%+v: %v", text, got, want, err)
		}
		if again, err := json.Marshal(got); err != nil || string(again) != string(text) {
			t.Fatalf("%s is written as\n%s: %v", text, again, err)
		}
	})
}
