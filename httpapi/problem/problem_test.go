package problem_test

import (
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"evenkeel/fsm"
	"evenkeel/httpapi/problem"
)

func TestAProblemIsWrittenAsOne(t *testing.T) {
	w := httptest.NewRecorder()
	p := problem.Invalid([]fsm.Fault{{Pointer: "/weight", Message: "-1 is not from 0 to 1000"}}).With("Location", "/v1/x")
	if err := p.Write(w); err != nil {
		t.Fatal(err)
	}
	want := `{"type":"/v1/problems/invalid-object","title":"The object is faulty","status":400,` +
		`"detail":"/weight: -1 is not from 0 to 1000","faults":[{"pointer":"/weight","message":"-1 is not from 0 to 1000"}]}` + "\n"
	if w.Code != 400 || w.Body.String() != want || w.Header().Get("Content-Type") != problem.ContentType || w.Header().Get("Location") != "/v1/x" {
		t.Errorf("status %d, header %v, body %s, want %s", w.Code, w.Header(), w.Body, want)
	}
}

func TestSeveralFaultsAreCountedInTheDetail(t *testing.T) {
	p := problem.Invalid([]fsm.Fault{{Message: "a"}, {Message: "b"}})
	if !strings.Contains(p.Detail, "2 things") {
		t.Errorf("detail %q", p.Detail)
	}
}

func TestAFaultShowsNothingOfAPrivateKeyInTheWrongPlace(t *testing.T) {
	faults := []fsm.Fault{
		{Pointer: "/labels/a", Message: `"a": "-----BEGIN EC PRIVATE KEY-----\nMHcCAQ..." has control characters`},
		{Pointer: "/-----BEGIN PRIVATE KEY-----\nMIGHAg...", Message: "is not a known field"},
	}
	p := problem.Invalid(faults)
	want := []fsm.Fault{
		{Pointer: "/labels/a", Message: `"a": "-----BEGIN EC PRIVATE KEY-----..." has control characters`},
		{Pointer: "/-----BEGIN PRIVATE KEY-----...", Message: "is not a known field"},
	}
	if !slices.Equal(p.Faults, want) {
		t.Errorf("faults %+v", p.Faults)
	}
	if one := problem.Invalid(faults[1:]); strings.Contains(one.Detail, "MIGH") || !strings.Contains(faults[1].Pointer, "MIGH") {
		t.Errorf("detail %q, and what was given is %q now", one.Detail, faults[1].Pointer)
	}
}

func TestAProblemThatCannotBeEncodedIsAnErrorAndWritesNothing(t *testing.T) {
	w := httptest.NewRecorder()
	p := problem.New(problem.PreconditionFailed, "stale")
	p.Current = func() {}
	if err := p.Write(w); err == nil || w.Body.Len() > 0 {
		t.Errorf("error %v, body %q", err, w.Body)
	}
}

func TestTheCatalogIsSoundAndOrdered(t *testing.T) {
	seen := map[problem.Kind]bool{}
	last := 0
	for _, entry := range problem.Catalog() {
		if seen[entry.Kind] || entry.Status < max(last, 400) || entry.Status > 599 || entry.Title == "" || entry.Remedy == "" {
			t.Errorf("entry %+v after status %d", entry, last)
		}
		seen[entry.Kind], last = true, entry.Status
		if problem.Lookup(entry.Kind) != entry || !problem.Known(entry.Kind) {
			t.Errorf("%s is not found again", entry.Kind)
		}
	}
	if problem.Known("nonsense") || problem.Lookup("nonsense").Kind != problem.Internal {
		t.Error("an unknown kind is not treated as internal")
	}
}
