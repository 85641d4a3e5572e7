package httpapi_test

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"evenkeel/fsm"
	"evenkeel/httpapi"
)

// TestANodeWithMuchToSaySaysWhatFits holds answers to 1.5 MiB and the braces
// around them: one beyond 2 MiB does not pass between nodes, so a node with much
// to say would seem not to answer.
func TestANodeWithMuchToSaySaysWhatFits(t *testing.T) {
	const backends, limit = 5000, 3<<19 + 200
	f := newFakeCluster(t)
	for i := range backends {
		spec := fsm.BackendSpec{Address: fmt.Sprintf("h%d:80", i)}
		spec.SetDefaults()
		f.apply(t, fsm.Put{Pool: "default", Name: fmt.Sprint("backend", i), Spec: spec})
	}
	for name, c := range map[string]struct {
		reason string
		vetoes int // at least
	}{
		"errors as they are met":                  {"dial tcp 10.20.30.40:8080: connect: connection refused", 5000},
		"errors that nobody reads to their end":   {strings.Repeat("x", 9000), 4000},
		"errors of characters that JSON escapes":  {strings.Repeat("<\x01\"\u2028", 50), 1000},
		"errors that are no text in any encoding": {strings.Repeat("\xff", 180), 1000},
	} {
		t.Run(name, func(t *testing.T) {
			least, most := math.SmallestNonzeroFloat64, -math.MaxFloat64
			var local httpapi.LocalHealth
			for b := range f.State().PoolBackends("default") {
				local.Opinions = append(local.Opinions, httpapi.Opinion{
					Pool: b.Pool, Name: b.Name, UID: b.Meta.UID, Health: "unknown", Run: math.MinInt, Error: c.reason, LastError: c.reason, WeightError: c.reason,
					Evidence: true, AgeSeconds: &most, LatencySeconds: least,
				})
				local.Vetoes = append(local.Vetoes, httpapi.Veto{UID: b.Meta.UID, Health: "down", Reason: c.reason, AgeSeconds: most})
				local.Ejections = append(local.Ejections, httpapi.Ejection{Pool: b.Pool, Name: b.Name, UID: b.Meta.UID, Reason: c.reason, AgeSeconds: most, LeftSeconds: most})
			}
			api := httpapi.New(httpapi.Config{Cluster: f, Health: func() httpapi.LocalHealth { return local }})
			for question, entries := range map[string]int{`{}`: 2 * backends, `{"pool":"default"}`: 3 * backends} {
				text, err := api.AnswerHealth(t.Context(), "n2", []byte(question))
				var got httpapi.LocalHealth
				if err == nil {
					err = json.Unmarshal(text, &got)
				}
				if err != nil || len(text) > limit {
					t.Errorf("%s: %d bytes, %v; want at most %d", question, len(text), err, limit)
				}
				kept := len(got.Opinions) + len(got.Vetoes) + len(got.Ejections)
				if len(got.Vetoes) < c.vetoes || got.LeftOff == 0 || kept+got.LeftOff != entries {
					t.Errorf("%s: %d vetoes, %d entries and %d left off of %d", question, len(got.Vetoes), kept, got.LeftOff, entries)
				}
			}
		})
	}
}

// Opinions are many, so a node looks up those that a question is about, and none
// for what needs none.
func TestOpinionsAreLookedUpForWhatIsAskedAlone(t *testing.T) {
	var looked []string
	local := httpapi.LocalHealth{OpinionsOf: func(pool, uid string) []httpapi.Opinion {
		looked = append(looked, pool+"/"+uid)
		return []httpapi.Opinion{{Pool: pool, UID: "u1"}}
	}}
	api := httpapi.New(httpapi.Config{Cluster: newFakeCluster(t), Health: func() httpapi.LocalHealth { return local }})
	for question, want := range map[string]string{
		`{}`: "", `{"pool":"p"}`: "p/", `{"pool":"p","backend":"u1"}`: "p/u1",
	} {
		looked = nil
		text, err := api.AnswerHealth(t.Context(), "n2", []byte(question))
		if got := strings.Join(looked, " "); err != nil || got != want {
			t.Errorf("%s: looked up %q, %v; want %q", question, got, err, want)
		}
		if told := strings.Contains(string(text), `"uid":"u1"`); told != (want != "") {
			t.Errorf("%s: %s", question, text)
		}
	}
}
