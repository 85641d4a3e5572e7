package faults

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"evenkeel/e2e/harness"
)

// registry answers as the API of a cluster does, in memory: any number of
// servers may share one. mischief makes it break its word.
type registry struct {
	mu       sync.Mutex // guards what follows
	revision uint64
	values   map[string]entry
	first    map[string]entry // the first value of each key
	changes  map[string]int   // how often each key was written since
	writes   int
	reads    int
	mischief mischief
}

type entry struct {
	value    string
	revision uint64
}

// longAgo is after how many writes of a key its first value is one that no
// read may return: more than there are clients, so that most of those writes
// were over before the read began.
const longAgo = 9

// mischief is what a registry does wrong every so many writes or reads.
type mischief struct {
	loses, doubles, stales, forgets int
}

// every tells whether it is the turn of something done every n times.
func every(n, count int) bool { return n > 0 && count%n == 0 }

func (r *registry) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := strings.TrimPrefix(q.URL.Path, "/v1/pools/")
	w.Header().Set("X-Evenkeel-Revision", strconv.FormatUint(r.revision, 10))
	if q.Method == http.MethodGet {
		r.read(w, key)
		return
	}
	r.writes++
	now, present := r.values[key]
	match := q.Header.Get("If-Match")
	if match != "" && (!present || match != fmt.Sprintf("%q", strconv.FormatUint(now.revision, 10))) || q.Header.Get("If-None-Match") != "" && present {
		refuse(w, http.StatusPreconditionFailed, "precondition-failed")
		return
	}
	if present {
		if _, known := r.first[key]; !known {
			r.first[key] = now
		}
		r.changes[key]++
	}
	r.write(w, q, key, present)
}

func (r *registry) read(w http.ResponseWriter, key string) {
	r.reads++
	now, present := r.values[key]
	if r.changes[key] >= longAgo && every(r.mischief.stales, r.reads) {
		now, present = r.first[key], true
	}
	if !present {
		refuse(w, http.StatusNotFound, "not-found")
		return
	}
	answer(w, http.StatusOK, now)
}

func (r *registry) write(w http.ResponseWriter, q *http.Request, key string, present bool) {
	before, existed := r.values[key]
	r.revision++
	next := entry{revision: r.revision}
	delete(r.values, key)
	if q.Method == http.MethodPut {
		var body struct{ Labels map[string]string }
		if err := json.NewDecoder(q.Body).Decode(&body); err != nil {
			refuse(w, http.StatusBadRequest, "invalid-object")
			return
		}
		next.value = body.Labels["value"]
		r.values[key] = next
	}
	switch {
	case every(r.mischief.loses, r.writes) && existed:
		r.values[key] = before
	case every(r.mischief.doubles, r.writes) && q.Method == http.MethodPut:
		r.revision++
		r.values[key] = entry{next.value, r.revision}
	}
	w.Header().Set("X-Evenkeel-Revision", strconv.FormatUint(r.revision, 10))
	switch {
	case every(r.mischief.forgets, r.writes):
		refuse(w, http.StatusGatewayTimeout, "outcome-unknown")
	case q.Method == http.MethodDelete:
		w.WriteHeader(http.StatusNoContent)
	case present:
		answer(w, http.StatusOK, next)
	default:
		answer(w, http.StatusCreated, next)
	}
}

func answer(w http.ResponseWriter, status int, e entry) {
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"labels":{"value":%q},"meta":{"revision":%d}}`, e.value, e.revision)
}

func refuse(w http.ResponseWriter, status int, kind string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"type":"/v1/problems/%s","status":%d}`, kind, status)
}

// play uses a registry for so many operations.
func play(t *testing.T, mischief mischief, count int) *operations {
	t.Helper()
	r := &registry{values: map[string]entry{}, first: map[string]entry{}, changes: map[string]int{}, mischief: mischief}
	var apis []harness.API
	for range 3 {
		server := httptest.NewServer(r)
		t.Cleanup(server.Close)
		apis = append(apis, harness.API{Address: strings.TrimPrefix(server.URL, "http://")})
	}
	o := startOperations(t, operationsOptions{seed: 1, rate: 3000, apis: apis})
	o.waitCount(t, count)
	return o
}

func TestOperationsOfARegistryThatKeepsItsWord(t *testing.T) {
	o := play(t, mischief{forgets: 8}, 1200)
	o.check(t)
	all, _ := o.history.all()
	kinds, gone := map[kind]int{}, map[int]bool{}
	swapped := 0
	for _, o := range all {
		if gone[o.Client] {
			t.Errorf("after an operation of unknown outcome: %v", o)
		}
		kinds[o.Kind]++
		gone[o.Client] = o.Outcome == outcomeUnknown
		if o.Kind == kindSwap && o.Outcome == outcomeDone {
			swapped++
		}
	}
	for _, of := range []kind{kindRead, kindPut, kindSwap, kindCreate, kindDelete, kindDeleteAt} {
		if kinds[of] == 0 {
			t.Errorf("no operation is a %s: %v", of, kinds)
		}
	}
	if o.history.number(outcomeUnknown) == 0 {
		t.Error("no outcome is unknown")
	}
	if swapped*4 < kinds[kindSwap] {
		t.Errorf("%d of %d swaps met their condition, want a quarter at least", swapped, kinds[kindSwap])
	}
	if len(o.slots.all()) <= keys {
		t.Errorf("%d keys, want new ones for those with %d writes of unknown outcome", len(o.slots.all()), maxOpen)
	}
	t.Logf("%v, %d swapped, %.0f a second", kinds, swapped, o.rate())
}

func TestOperationsFindARegistryThatBreaksItsWord(t *testing.T) {
	for name, mischief := range map[string]mischief{
		"it loses writes that it acknowledged": {loses: 10},
		"it makes writes twice":                {doubles: 10},
		"it answers reads from a while ago":    {stales: 10},
	} {
		t.Run(name, func(t *testing.T) {
			err := play(t, mischief, 1000).conclude(t, t.TempDir())
			if err == nil {
				t.Fatal("nothing was found")
			}
			t.Logf("found: %.600v", err)
		})
	}
}
