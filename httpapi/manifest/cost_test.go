//go:build !race

// What a text costs under the race detector says nothing of what it costs.

package manifest_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"evenkeel/httpapi/manifest"
	"evenkeel/httpapi/strictyaml"
)

// repeated returns a text of about that many bytes, with a number for each N of
// its middle.
func repeated(size int, head, unit, tail string) string {
	var b strings.Builder
	b.WriteString(head)
	for i := 0; b.Len() < size; i++ {
		b.WriteString(strings.ReplaceAll(unit, "N", fmt.Sprint(i)))
	}
	return b.String() + tail
}

// repeatedYAML returns a text of as many bytes, or as many values, as YAML may
// have. places are those of the unit, as strictyaml counts them.
func repeatedYAML(places int, head, unit string) string {
	size := strictyaml.MaxPlaces / places * len(strings.ReplaceAll(unit, "N", "1000"))
	return repeated(min(size*9/10, strictyaml.MaxBytes-1<<10), head, unit, "")
}

func TestTheLargestManifestsCostLittle(t *testing.T) {
	if testing.Short() {
		t.Skip("up to 16 MiB each")
	}
	const size = manifest.MaxBytes - 1<<10
	for name, text := range map[string]string{
		"backends of YAML":          repeatedYAML(13, "backends:\n", "- {name: aN, address: 'a:1', labels: {aN: b, bN: c}, weight: 3}\n"),
		"backends of JSON":          repeated(size, `{"backends": [`, `{"name": "aN", "address": "aN:1"},`, `{}]}`),
		"faults of every object":    repeatedYAML(13, "backends:\n", "- {nam: A, adress: x, weight: [], tier: -1, zone: no}\n"),
		"lists of JSON":             repeated(size, `{"pools": [`, `[],`, `[]]}`),
		"one object of many fields": repeatedYAML(1, "kind: pool\nname: p\nlabels:\n", "  lN: x\n"),
		"aliases of a large object": repeatedYAML(1, "x: &x {labels: {a: b, c: d, e: f}, name: a}\npools:\n", "- *x\n"),
		"documents":                 repeatedYAML(3, "", "---\nkind: pool\nname: pN\n"),
		"one large text":            repeatedYAML(1, "kind: route\nname: r\nrespond:\n  body: |\n", "    <p>N</p>\n"),
		"lines of a key":            repeated(size, `{"certificates": "-----BEGIN PRIVATE KEY-----\n`, `MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgzLZMOtl23eX0I/N\n`, `"}`),
		"more than may be read":     repeated(size, "backends:\n", "- {name: aN, address: 'a:1'}\n", ""),
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			start := time.Now()
			_, faults := manifest.Parse([]byte(text), manifest.Options{})
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			t.Logf("%s, %d MB allocated in all, %d faults", took.Round(time.Millisecond), (after.TotalAlloc-before.TotalAlloc)>>20, len(faults))
			if took > time.Minute || after.TotalAlloc-before.TotalAlloc > 1<<30 || len(faults) == 0 || len(faults) > 101 {
				t.Errorf("%s, %d MB, %d faults", took, (after.TotalAlloc-before.TotalAlloc)>>20, len(faults))
			}
		})
	}
}

func fiveThousand() []byte {
	var b strings.Builder
	b.WriteString("owner: shop\npools:\n")
	for pool := range 50 {
		fmt.Fprintf(&b, "  - name: p%d\n    check: {type: http, path: /healthz, interval: 1s}\n    backends:\n", pool)
		for i := range 99 {
			fmt.Fprintf(&b, "      - name: b%d\n        address: 10.0.%d.%d:80\n        weight: 2\n        labels:\n          rack: r%d\n", i, pool, i, i%7)
		}
	}
	return []byte(b.String())
}

// BenchmarkAFileOf5000Objects is what a node does for an apply that changes
// nothing, and for one that makes all of it.
func BenchmarkAFileOf5000Objects(b *testing.B) {
	data := fiveThousand()
	empty, full := newCluster(b), newCluster(b)
	m, faults := manifest.Parse(data, manifest.Options{})
	if len(faults) > 0 {
		b.Fatal(describe(faults))
	}
	p, _ := m.Plan(full.state, manifest.PlanOptions{Prune: true})
	full.apply(b, p.Operation())
	b.Run("parse", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			manifest.Parse(data, manifest.Options{})
		}
	})
	for name, c := range map[string]*cluster{"plan all": empty, "plan nothing": full} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m.Plan(c.state, manifest.PlanOptions{Prune: true})
			}
		})
	}
}
