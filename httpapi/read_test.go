package httpapi

import (
	"net/http/httptest"
	"runtime"
	"testing"
)

// TestAShortListLeavesLittleGarbage: less than its write buffer. A collection
// meanwhile may take that away, but not each time.
func TestAShortListLeavesLittleGarbage(t *testing.T) {
	var a API
	const lists = 100
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range lists {
		if err := a.writeList(httptest.NewRecorder(), func() string { return `"revision":1}` }, func(func(any) bool) {}); err != nil {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / lists; each >= listBuffer/2 {
		t.Errorf("a list of nothing allocates %d bytes", each)
	}
}
