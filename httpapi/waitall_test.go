package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"evenkeel/cluster"
	"evenkeel/fsm"
	"evenkeel/httpapi"
)

// otherNodes adds live nodes n2, n3, … to the cluster, whose data planes are at the
// revisions that serves returns; an error is no answer.
func otherNodes(t testing.TB, f *fakeCluster, serves map[string]func() (uint64, error)) {
	t.Helper()
	for name := range serves {
		f.apply(t, fsm.SetNode{Node: fsm.Node{UID: "uid-" + name, Name: name, State: fsm.NodeAlive, FeatureLevel: fsm.FeatureLevel}})
	}
	f.serving = func(ctx context.Context, uid string) ([]byte, error) {
		at, err := serves[strings.TrimPrefix(uid, "uid-")]()
		if errors.Is(err, errHangs) {
			<-ctx.Done()
			err = ctx.Err()
		}
		if err != nil {
			return nil, err
		}
		return json.Marshal(map[string]uint64{"revision": at})
	}
}

var errHangs = errors.New("it hangs")

func at(revision uint64) func() (uint64, error) {
	return func() (uint64, error) { return revision, nil }
}

func hangs() (uint64, error) { return 0, errHangs }

const far = 1 << 40

func TestAWriteWaitsUntilEveryLiveNodeServesIt(t *testing.T) {
	api := newClient(t)
	var asked atomic.Int64
	otherNodes(t, api.cluster, map[string]func() (uint64, error){
		"n2": at(far),
		"n3": func() (uint64, error) { // serves it when it is asked for the fifth time
			if asked.Add(1) < 5 {
				return 1, nil
			}
			return api.cluster.State().Revision(), nil
		},
	})
	api.send("PUT", "/v1/pools/p?wait=all", `{}`).want(201).wantHeader("X-Evenkeel-Wait", "all").wantHeader("X-Evenkeel-Lagging", "")
	if asked.Load() < 5 {
		t.Errorf("the node was asked %d times", asked.Load())
	}
	api.send("DELETE", "/v1/pools/p?wait=all", "").want(204).wantHeader("X-Evenkeel-Wait", "all")
	api.send("POST", "/v1/txn?wait=all", txnOf(putPool)).want(200).wantHeader("X-Evenkeel-Wait", "all")
}

func TestAWaitNamesTheNodesThatAreLateAndTheWriteIsMade(t *testing.T) {
	api := newClient(t)
	otherNodes(t, api.cluster, map[string]func() (uint64, error){
		"n2": hangs, "n3": at(1), "n4": at(far), "n5": func() (uint64, error) { return 0, fmt.Errorf("ask: %w", cluster.ErrOlderBuild) },
	})
	begun := time.Now()
	api.send("PUT", "/v1/pools/p?wait=all&timeout=300ms", `{}`).want(201).
		wantHeader("X-Evenkeel-Wait", "timeout").wantHeader("X-Evenkeel-Lagging", "n2, n3, n5")
	if took := time.Since(begun); took < 300*time.Millisecond || took > 3*time.Second {
		t.Errorf("it took %s", took)
	}
	if api.cluster.State().Pool("p") == nil {
		t.Error("the write was not made")
	}
}

func TestADeadNodeIsNotWaitedFor(t *testing.T) {
	api := newClient(t)
	otherNodes(t, api.cluster, map[string]func() (uint64, error){"n2": at(far), "n3": hangs})
	api.cluster.apply(t, fsm.SetNode{Node: fsm.Node{UID: "uid-n3", Name: "n3", State: fsm.NodeDead, FeatureLevel: fsm.FeatureLevel}})
	api.send("PUT", "/v1/pools/p?wait=all&timeout=60s", `{}`).want(201).wantHeader("X-Evenkeel-Wait", "all").wantHeader("X-Evenkeel-Lagging", "")
}

func TestANodeThatDiesMeanwhileEndsTheWaitAndIsNoneThatLags(t *testing.T) {
	api := newClient(t)
	var asked atomic.Int64
	otherNodes(t, api.cluster, map[string]func() (uint64, error){"n2": func() (uint64, error) {
		if asked.Add(1) == 3 {
			api.cluster.apply(t, fsm.SetNode{Node: fsm.Node{UID: "uid-n2", Name: "n2", State: fsm.NodeDead, FeatureLevel: fsm.FeatureLevel}})
		}
		return 1, nil
	}})
	api.send("PUT", "/v1/pools/p?wait=all&timeout=60s", `{}`).want(201).wantHeader("X-Evenkeel-Wait", "all").wantHeader("X-Evenkeel-Lagging", "")
}

func TestAWaitForThisNodeIsForItsDataPlane(t *testing.T) {
	var served, asked atomic.Uint64
	api := newClient(t, func(c *httpapi.Config) {
		c.Serving = func() uint64 {
			if asked.Add(1) == 4 {
				served.Store(far)
			}
			return served.Load()
		}
	})
	otherNodes(t, api.cluster, map[string]func() (uint64, error){"n2": hangs})
	api.send("PUT", "/v1/pools/p?wait=local", `{}`).want(201).wantHeader("X-Evenkeel-Wait", "local").wantHeader("X-Evenkeel-Lagging", "")
	served.Store(0)
	api.send("PUT", "/v1/pools/q?wait=local&timeout=20ms", `{}`).want(201).wantHeader("X-Evenkeel-Wait", "timeout").wantHeader("X-Evenkeel-Lagging", "n1")
}

func TestANodeTellsUpToWhichRevisionItServes(t *testing.T) {
	f := newFakeCluster(t)
	for want, serving := range map[string]func() uint64{`{"revision":1}`: nil, `{"revision":7}`: func() uint64 { return 7 }} {
		api := httpapi.New(httpapi.Config{Cluster: f, NodeName: "n1", Serving: serving})
		if got, err := api.AnswerServing(t.Context(), fakeUID, nil); err != nil || string(got) != want {
			t.Errorf("it tells %s, %v; want %s", got, err, want)
		}
	}
}

func TestAWaitMayBeLongerThanTheServerGivesOtherRequests(t *testing.T) {
	f := newFakeCluster(t)
	otherNodes(t, f, map[string]func() (uint64, error){"n2": at(1)})
	server := httptest.NewUnstartedServer(httpapi.New(httpapi.Config{Cluster: f, NodeName: "n1"}).Handler())
	server.Config.ReadTimeout, server.Config.WriteTimeout = 100*time.Millisecond, 200*time.Millisecond
	server.Start()
	defer server.Close()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL+"/v1/pools/p?wait=all&timeout=700ms", strings.NewReader(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	answer, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if took := time.Since(begun); answer.StatusCode != 201 || answer.Header.Get("X-Evenkeel-Wait") != "timeout" || took < 700*time.Millisecond {
		t.Errorf("after %s the answer is %d, %v", took, answer.StatusCode, answer.Header)
	}
}
