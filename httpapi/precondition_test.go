package httpapi_test

import (
	"fmt"
	"sync"
	"testing"
)

func TestPreconditionsOfWrites(t *testing.T) {
	const path = "/v1/pools/default/backends/web1"
	for name, c := range map[string]struct {
		method, header, value string
		existing              bool
		status                int
		kind                  string
	}{
		"a put that must create creates":                       {"PUT", "If-None-Match", "*", false, 201, ""},
		"a put that must create does not replace":              {"PUT", "If-None-Match", "*", true, 412, "precondition-failed"},
		"a put at the object's revision replaces":              {"PUT", "If-Match", "ETAG", true, 200, ""},
		"a put at another revision is refused":                 {"PUT", "If-Match", `"999"`, true, 412, "precondition-failed"},
		"a put at a revision of what is not there is refused":  {"PUT", "If-Match", `"1"`, false, 412, "precondition-failed"},
		"a put that must replace replaces":                     {"PUT", "If-Match", "*", true, 200, ""},
		"a put that must replace does not create":              {"PUT", "If-Match", "*", false, 412, "precondition-failed"},
		"a deletion at the object's revision deletes":          {"DELETE", "If-Match", "ETAG", true, 204, ""},
		"a deletion at another revision is refused":            {"DELETE", "If-Match", `"999"`, true, 412, "precondition-failed"},
		"a deletion that must delete something is refused":     {"DELETE", "If-Match", "*", false, 412, "precondition-failed"},
		"a deletion that must find nothing makes no sense":     {"DELETE", "If-None-Match", "*", true, 400, "invalid-request"},
		"an unquoted revision is malformed":                    {"PUT", "If-Match", "17", true, 400, "invalid-request"},
		"a weak tag is malformed":                              {"PUT", "If-Match", `W/"17"`, true, 400, "invalid-request"},
		"a list of tags is malformed":                          {"PUT", "If-Match", `"17", "18"`, true, 400, "invalid-request"},
		"a tag that is no number is malformed":                 {"PUT", "If-Match", `"abc"`, true, 400, "invalid-request"},
		"revision 0 is malformed, not unconditional":           {"PUT", "If-Match", `"0"`, true, 400, "invalid-request"},
		"a number with a plus is malformed":                    {"PUT", "If-Match", `"+1"`, true, 400, "invalid-request"},
		"a revision beyond all numbers is malformed":           {"PUT", "If-Match", `"99999999999999999999"`, true, 400, "invalid-request"},
		"an empty tag is malformed":                            {"PUT", "If-Match", ``, true, 400, "invalid-request"},
		"a tag that must not match is not possible on a write": {"PUT", "If-None-Match", `"17"`, true, 400, "invalid-request"},
		"a deletion with a malformed tag deletes nothing":      {"DELETE", "If-Match", "17", true, 400, "invalid-request"},
	} {
		t.Run(name, func(t *testing.T) {
			api := newClient(t)
			if c.existing {
				tag := api.send("PUT", path, `{"address":"h:1"}`).want(201).Header.Get("ETag")
				if c.value == "ETAG" {
					c.value = tag
				}
			}
			before := api.cluster.State().Revision()
			got := api.send(c.method, path, `{"address":"h:1","weight":5}`, c.header, c.value)
			if c.kind == "" {
				got.want(c.status)
				return
			}
			got.wantProblem(c.status, c.kind)
			if after := api.cluster.State().Revision(); after != before {
				t.Errorf("the refused write moved the revision from %d to %d", before, after)
			}
			if c.status != 412 {
				return
			}
			if c.existing {
				got.wantAt("web1", "current", "name").wantAt("h:1", "current", "spec", "address")
			} else {
				got.wantAt(nil, "current")
			}
		})
	}
}

func TestContradictingPreconditionsAreRefused(t *testing.T) {
	newClient(t).send("PUT", "/v1/pools/p", `{}`, "If-Match", "*", "If-None-Match", "*").wantProblem(400, "invalid-request")
}

func TestAPostWithIfMatchIsRefused(t *testing.T) {
	newClient(t).send("POST", "/v1/pools", `{}`, "If-Match", `"1"`).wantProblem(400, "invalid-request")
}

func TestOfTwoClientsThatWriteAtTheSameRevisionOneWins(t *testing.T) {
	api := newClient(t)
	api.checked = false
	tag := api.send("PUT", "/v1/pools/p", `{}`).want(201).Header.Get("ETag")
	for round := range 20 {
		var (
			wait     sync.WaitGroup
			statuses [2]int
			tags     [2]string
		)
		for i := range 2 {
			wait.Go(func() {
				got := api.send("PUT", "/v1/pools/p", fmt.Sprintf(`{"labels":{"by":"%d-%d"}}`, round, i), "If-Match", tag)
				statuses[i], tags[i] = got.StatusCode, got.Header.Get("ETag")
			})
		}
		wait.Wait()
		if statuses[0]+statuses[1] != 200+412 {
			t.Fatalf("round %d: statuses %v, want one 200 and one 412", round, statuses)
		}
		if tags[0] != tags[1] {
			t.Fatalf("round %d: the loser was told %q, the winner %q", round, tags[1], tags[0])
		}
		tag = tags[0]
	}
}
