package httpapi

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/mux"
)

// FuzzPaths: a request reaches the handler that mux alone would choose, with the same
// variables.
func FuzzPaths(f *testing.F) {
	var reached string
	router := newPaths(mux.NewRouter().SkipClean(true))
	alone := mux.NewRouter().SkipClean(true)
	for _, path := range []string{"/livez", "/v1/pools", "/v1/pools/{name}", "/v1/pools/{pool}/health", "/v1/pools/{pool}/backends",
		"/v1/pools/{pool}/backends/{name}", "/v1/pools/{pool}/backends/{name}/health", "/v1/revisions/{n}", "/v1/revisions/{a}/diff/{b}"} {
		for _, method := range []string{http.MethodGet, http.MethodPut} {
			handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				reached = method + " " + path
				for _, name := range []string{"pool", "name", "n", "a", "b"} {
					reached += " " + mux.Vars(r)[name]
				}
			})
			router.add(path, handler, method)
			alone.Handle(path, handler).Methods(method)
		}
	}
	for _, seed := range []string{"/livez", "/v1/pools/", "/v1/pools/a", "/v1/pools/a/backends/b", "/v1//pools", "//", "", "/v1/pools/a/backends/b/health/x/y/z", "/v1/pools/{name}", "/v1/revisions/1/diff/current", "/v1/pools/a\nb"} {
		f.Add(seed, true)
	}
	f.Fuzz(func(t *testing.T, path string, get bool) {
		ask := func(handler http.Handler) (string, int) {
			r := httptest.NewRequest(http.MethodPut, "/", nil)
			if get {
				r.Method = http.MethodGet
			}
			r.URL.Path, reached = path, ""
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			return reached, w.Code
		}
		got, status := ask(router)
		want, wanted := ask(alone)
		if got != want || status != wanted {
			t.Errorf("%q reaches %q with status %d, and %q with %d by mux alone", path, got, status, want, wanted)
		}
	})
}

func TestATimedContextEndsInTimeOrWithItsRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		parent, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, 7))
		ctx := newTimed(parent, time.Second)
		if until, ok := ctx.Deadline(); !ok || time.Until(until) != time.Second || ctx.Value(key{}) != 7 {
			t.Errorf("the deadline is %v, the value %v", until, ctx.Value(key{}))
		}
		child, done := context.WithCancel(ctx)
		defer done()
		<-child.Done()
		if !errors.Is(child.Err(), context.DeadlineExceeded) || !errors.Is(ctx.Err(), context.DeadlineExceeded) || ctx.Value(key{}) != 7 {
			t.Errorf("after the time: %v, of the child %v", ctx.Err(), child.Err())
		}
		cut := newTimed(parent, time.Second)
		cancel()
		if !errors.Is(cut.Err(), context.Canceled) {
			t.Errorf("after the parent: %v", cut.Err())
		}
		over := newTimed(t.Context(), time.Second)
		over.end()
		if !errors.Is(over.Err(), context.Canceled) {
			t.Errorf("after its end: %v", over.Err())
		}
	})
}
