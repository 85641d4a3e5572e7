//go:build linux

package apibench

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"
)

const (
	applyPools   = 50
	applyObjects = 5000 // the pools among them
	mostApply    = time.Second
)

// applied is of a file with many objects, through a follower: first when none of them
// is there, then again.
func (b *bed) applied(t *testing.T) {
	manifest, err := json.Marshal(manyObjects())
	if err != nil {
		t.Fatal(err)
	}
	before := b.revision(t)
	took := b.apply(t, manifest)
	made := b.revision(t) - before
	judge(fmt.Sprintf("apply of a file of %d objects, %d KB", applyObjects, len(manifest)>>10), "≤ 1 s, 1 revision",
		fmt.Sprintf("%.2f s, %d revision(s)", took.Seconds(), made), took <= mostApply && made == 1)
	before += made
	took = b.apply(t, manifest)
	made = b.revision(t) - before
	judge("the same file again", "≤ 1 s, no revision", fmt.Sprintf("%.2f s, %d revision(s)", took.Seconds(), made), took <= mostApply && made == 0)
}

func (b *bed) apply(t *testing.T, manifest []byte) time.Duration {
	t.Helper()
	node := b.cluster.Followers(t)[0]
	begin := time.Now()
	answer, err := node.Call(http.MethodPost, "/v1/apply", manifest, "Content-Type", "application/json")
	took := time.Since(begin)
	if err != nil || answer.Status != http.StatusOK {
		t.Fatalf("POST /v1/apply: %v %+v", err, answer)
	}
	return took
}

func (b *bed) revision(t *testing.T) uint64 {
	t.Helper()
	b.cluster.WaitSame(t)
	answer, err := b.cluster.Nodes[0].Call(http.MethodGet, "/v1/pools/"+poolName(0), nil)
	if err != nil {
		t.Fatal(err)
	}
	revision, err := strconv.ParseUint(answer.Header.Get("X-Evenkeel-Revision"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return revision
}

// manyObjects is a manifest.
func manyObjects() map[string]any {
	each := applyObjects/applyPools - 1
	var all []any
	for pool := range applyPools {
		var backends []any
		for n := range each {
			var backend map[string]any
			if err := json.Unmarshal(document(pool*each+n, 1+n%10), &backend); err != nil {
				panic(err) // it is a constant but for numbers
			}
			backend["name"] = fmt.Sprintf("backend-%d", n)
			backends = append(backends, backend)
		}
		all = append(all, map[string]any{"name": fmt.Sprintf("applied-%d", pool), "backends": backends})
	}
	return map[string]any{"pools": all}
}
