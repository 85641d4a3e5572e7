//go:build !race

// What a text costs under the race detector says nothing of what it costs.

package strictyaml_test

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"evenkeel/httpapi/strictyaml"
)

// TestAHostileTextCostsLittle holds time and memory to bounds, for the most that
// is taken of each kind of text.
func TestAHostileTextCostsLittle(t *testing.T) {
	if testing.Short() {
		t.Skip("up to 4 MiB each")
	}
	for name, parts := range map[string][3]string{
		"lists": {"", "- a\n", ""}, "a flow list": {"[", "a,", "]"}, "fields": {"", "kN: b\n", ""}, "flow fields": {"{", "kN: b, ", "}"},
		"empty lists": {"", "-\n", ""}, "a text over lines": {"a: x\n", "  y\n", ""}, "a literal text": {"a: |\n", "  y\n", ""},
		"empty lines of a text": {"a: |\n", "\n", ""}, "quotes": {"a: \"", "x\n ", "\""}, "escapes": {"a: \"", "\\\"", "\""},
		"comments": {"", "# a\n", ""}, "empty lines": {"", "\n", ""}, "spaces": {"", " ", ""}, "tabs": {"", "\t", ""},
		"tabs in brackets": {"[", "\t ", "]"}, "tabs and lines": {"[", "\t \n", "]"}, "documents": {"", "---\n", ""}, "values of documents": {"", "--- a\n", ""},
		"dashes": {"", "- ", ""}, "colons": {"", ":", ""}, "anchors": {"a: ", "&a ", ""}, "anchors in a list": {"", "- &aN x\n", ""},
		"aliases": {"a: &a [b, c]\nx:\n", "- *a\n", ""}, "doubtful values": {"", "- no\n", ""}, "lines that grow": {"", "a:\n", ""},
		"a text before empty lines": {"a: x", "\n", "b"}, "folded lines": {"a: >\n", "  y\n\n", ""}, "deep lines": {"a: |\n", "      \n", "  x"},
		"flow names": {"{", "a,", "}"}, "pairs": {"[", "a: ,", "]"}, "short fields": {"", "N:\n", ""}, "texts in lists": {"", "- aaa\n", ""},
		"one line of many characters": {"[", "'ééé', ", "]"}, "comments of items": {"", "- a #\n", ""}, "comments of fields": {"", "#\nN: a #\n", ""},
		"anchors of one name": {"", "- &a x\n", ""}, "question marks": {"", "? ", ""}, "merge keys": {"", "<<: a\n", ""}, "commas in a text": {"a: '", ",", "'"},
		"comments in brackets": {"[", "a, # b\n", "]"}, "flow fields on lines": {"{\n", "kN: b,\n", "}"}, "lists in brackets": {"[", "[],", "]"},
		"marked keys": {"{", "? a, ", "}"}, "marked keys on lines": {"", "?\n aN\n", ""}, "names alone": {"{", "aN, ", "}"},
	} {
		t.Run(name, func(t *testing.T) {
			text := repeat(parts, strictyaml.MaxBytes-64)
			peak := peakOf(func() { strictyaml.Parse(text, manyValues) })
			t.Logf("%s: %s, %d MB", name, peak.took.Round(time.Millisecond), peak.bytes>>20)
			if peak.took > 30*time.Second || peak.bytes > 400<<20 {
				t.Errorf("took %s and %d MB", peak.took, peak.bytes>>20)
			}
		})
	}
}

// repeat returns a text of about that size, or of as many places as are taken.
func repeat(parts [3]string, size int) []byte {
	var b bytes.Buffer
	b.WriteString(parts[0])
	places := len(strings.Map(func(r rune) rune {
		if strings.ContainsRune(",[{:-?", r) {
			return r
		}
		return -1
	}, parts[1]))
	for i := 0; b.Len() < size && places*i < strictyaml.MaxPlaces-10; i++ {
		b.WriteString(strings.Replace(parts[1], "N", fmt.Sprint(i), 1))
	}
	b.WriteString(parts[2])
	return b.Bytes()
}

type cost struct {
	took  time.Duration
	bytes uint64
}

// peakOf runs f and returns what it cost: the most memory that a sampler saw,
// which is at most what was allocated in all.
func peakOf(f func()) cost {
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	peak, done, sampled := uint64(0), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(sampled)
		for tick := time.NewTicker(10 * time.Millisecond); ; {
			select {
			case <-done:
				tick.Stop()
				return
			case <-tick.C:
				runtime.ReadMemStats(&now)
				peak = max(peak, now.HeapAlloc)
			}
		}
	}()
	start := time.Now()
	f()
	c := cost{took: time.Since(start)}
	close(done)
	<-sampled
	if peak > before.HeapAlloc {
		c.bytes = peak - before.HeapAlloc
	}
	return c
}
