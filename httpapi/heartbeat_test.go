package httpapi_test

import (
	"fmt"
	"testing"

	"evenkeel/cluster"
	"evenkeel/fsm"
)

const heartbeatPath = "/v1/pools/default/backends/web1/heartbeat"

func TestAHeartbeatIsPassedOnAndIsNoRevision(t *testing.T) {
	c := newClient(t)
	made := c.send("PUT", "/v1/pools/default/backends/web1", `{"address":"10.0.0.5:9000","ttl":"30s"}`).want(201)
	made.wantAt("30s", "spec", "ttl")
	uid, revision := made.at("meta", "uid").(string), made.Header.Get("X-Evenkeel-Revision")
	c.send("PUT", heartbeatPath, "").want(204).wantHeader("X-Evenkeel-Revision", revision)
	c.send("PUT", heartbeatPath+"?uid="+uid, "").want(204)
	want := cluster.Renewal{Pool: "default", Name: "web1", UID: uid}
	if got := c.cluster.renewals; len(got) != 2 || got[0] != want || got[1] != want {
		t.Errorf("renewals %+v, want %+v twice", got, want)
	}
}

func TestToPutABackendAsItIsRenewsIt(t *testing.T) {
	c := newClient(t)
	const path, body = "/v1/pools/default/backends/web1", `{"address":"10.0.0.5:9000","ttl":"30s"}`
	c.send("PUT", path, body).want(201)
	c.send("PUT", path+"?dry_run=true", body).want(200)
	if len(c.cluster.renewals) != 0 {
		t.Errorf("renewals %+v", c.cluster.renewals)
	}
	c.send("PUT", path, body).want(200)
	if len(c.cluster.renewals) != 1 || c.cluster.renewals[0].Name != "web1" {
		t.Errorf("renewals %+v", c.cluster.renewals)
	}
}

func TestAPutThatMeetsTheLapseLeavesABackendThatIsThere(t *testing.T) {
	c := newClient(t)
	const path, body = "/v1/pools/default/backends/web1", `{"address":"10.0.0.5:9000","ttl":"30s"}`
	lapse := func(asked int) func() { // the leader decided it, and the put comes before the command
		return func() {
			if asked--; asked > 0 {
				return
			}
			b := c.cluster.State().Backend("default", "web1")
			c.cluster.apply(t, fsm.Expire{Items: []fsm.Expiry{{What: fsm.ExpireTTL, Pool: b.Pool, Name: b.Name, UID: b.Meta.UID, Epoch: b.Meta.Revision}}})
		}
	}
	c.send("PUT", path, body).want(201)
	old := c.cluster.State().Backend("default", "web1").Meta.UID
	c.cluster.renew, c.cluster.onRenew = cluster.ErrNotRegistered, lapse(3)
	uid := c.send("PUT", path, body).want(201).at("meta", "uid")
	if b := c.cluster.State().Backend("default", "web1"); b == nil || b.Meta.UID != uid || uid == old {
		t.Errorf("it left %+v, and answered uid %v", b, uid)
	}
	c.cluster.onRenew = lapse(1)
	c.send("PUT", path, body, "If-Match", "*").wantProblem(412, "precondition-failed")
}

func TestAPutUnderAKeyThatMeetsTheLapseRegistersAnew(t *testing.T) {
	c := newClient(t)
	const path, body = "/v1/pools/default/backends/web1", `{"address":"10.0.0.5:9000","ttl":"30s"}`
	c.send("PUT", path, body).want(201)
	c.cluster.renew, c.cluster.onRenew = cluster.ErrNotRegistered, func() { // the put comes before the command
		b := c.cluster.State().Backend("default", "web1")
		c.cluster.apply(t, fsm.Expire{Items: []fsm.Expiry{{What: fsm.ExpireTTL, Pool: b.Pool, Name: b.Name, UID: b.Meta.UID, Epoch: b.Meta.Revision}}})
	}
	uid := c.send("PUT", path, body, "Idempotency-Key", "k").want(201).wantHeader("Idempotency-Replayed", "").at("meta", "uid")
	revision, renewed := c.cluster.State().Revision(), len(c.cluster.renewals)
	// What is remembered is the put that found it there.
	c.send("PUT", path, body, "Idempotency-Key", "k").want(200).wantHeader("Idempotency-Replayed", "true").wantAt(uid, "meta", "uid")
	if b := c.cluster.State().Backend("default", "web1"); b == nil || b.Meta.UID != uid || c.cluster.State().Revision() != revision || len(c.cluster.renewals) != renewed {
		t.Errorf("it left %+v at revision %d after %d renewals, want uid %v, %d and %d", b, c.cluster.State().Revision(), len(c.cluster.renewals), uid, revision, renewed)
	}
	c.send("PUT", path, `{"address":"10.0.0.6:9000","ttl":"30s"}`, "Idempotency-Key", "k").wantProblem(422, "key-reused")
}

func TestAPatchIsASignOfLifeWhetherOrNotItChangesSomething(t *testing.T) {
	c := newClient(t)
	const path, body = "/v1/pools/default/backends/web1", `{"address":"10.0.0.5:9000","weight":5,"ttl":"30s"}`
	uid := c.send("PUT", path, body).want(201).at("meta", "uid").(string)
	revision := c.cluster.State().Revision()
	c.send("PATCH", path+"?dry_run=true", `{"weight":5}`).want(200)
	c.send("PATCH", path, `{"weight":5}`, "If-Match", `"999"`).want(412)
	if len(c.cluster.renewals) != 0 {
		t.Errorf("renewals %+v of what was not made", c.cluster.renewals)
	}
	c.send("PATCH", path, `{"weight":5}`).want(200)
	want := cluster.Renewal{Pool: "default", Name: "web1", UID: uid}
	if got := c.cluster.renewals; len(got) != 1 || got[0] != want || c.cluster.State().Revision() != revision {
		t.Errorf("renewals %+v, revision %d", got, c.cluster.State().Revision())
	}
	// What changes is a new revision, and its ttl begins with that.
	c.send("PATCH", path, `{"weight":6}`).want(200)
	if got := c.cluster.renewals; len(got) != 1 || c.cluster.State().Revision() != revision+1 {
		t.Errorf("renewals %+v, revision %d", got, c.cluster.State().Revision())
	}
	c.cluster.renew = cluster.ErrNotRegistered
	c.send("PATCH", path, `{"weight":6}`).wantProblem(404, "not-found")
	c.cluster.renew = cluster.ErrNoQuorum
	c.send("PATCH", path, `{"weight":6}`).wantProblem(503, "no-quorum")
	c.send("PATCH", path, `{"ttl":null}`).want(200)
	c.send("PATCH", path, `{"weight":6}`).want(200)
}

func TestAHeartbeatOfWhatIsNotRegisteredSaysSo(t *testing.T) {
	c := newClient(t)
	c.send("PUT", heartbeatPath, "").wantProblem(404, "not-found")
	c.send("PUT", "/v1/pools/default/backends/web1", `{"address":"10.0.0.5:9000","ttl":"30s"}`).want(201)
	c.send("PUT", heartbeatPath+"?uid=another", "").wantProblem(404, "not-found")
	if len(c.cluster.renewals) != 0 {
		t.Errorf("renewals %+v", c.cluster.renewals)
	}
	for err, status := range map[error]int{
		cluster.ErrNotRegistered: 404, cluster.ErrNoQuorum: 503, cluster.ErrOverloaded: 503, cluster.ErrStopping: 503, cluster.ErrDetached: 503,
	} {
		c.cluster.renew = fmt.Errorf("renew: %w", err)
		c.send("PUT", heartbeatPath, "").want(status)
	}
}

func TestAHeartbeatThatMakesNoSenseIsRefused(t *testing.T) {
	c := newClient(t)
	c.send("PUT", "/v1/pools/default/backends/web1", `{"address":"10.0.0.5:9000"}`).want(201)
	c.send("PUT", heartbeatPath, "").wantProblem(400, "invalid-request")
	c.send("PUT", heartbeatPath, `{"ttl":"1m"}`).wantProblem(400, "invalid-request")
	c.send("PUT", heartbeatPath+"?ttl=1m", "").wantProblem(400, "invalid-request")
	for _, ttl := range []string{"1s", "25h", "0s", "-5s", "forever"} {
		faults := c.send("PUT", "/v1/pools/default/backends/web1", `{"address":"10.0.0.5:9000","ttl":"`+ttl+`"}`).wantProblem(400, "invalid-object").faults()
		if faults["/ttl"] == "" {
			t.Errorf("ttl %q: %v", ttl, faults)
		}
	}
}

func TestAHeartbeatOfWhatATokenDoesNotSeeIsOfNothing(t *testing.T) {
	c := limitedClient(t)
	c.as("editors", "PUT", "/v1/pools/default/backends/web-b", `{"address":"b:1","ttl":"30s","labels":{"team":"b"}}`).want(200)
	c.as("editors", "PUT", "/v1/pools/default/backends/web-a", `{"address":"a:1","ttl":"30s","labels":{"team":"a"}}`).want(200)
	sameAnswer(t, c, "operators-of-a", "PUT", "/v1/pools/default/backends/web-b/heartbeat", "/v1/pools/default/backends/none/heartbeat", "", 404)
	c.as("operators-of-a", "PUT", "/v1/pools/default/backends/web-a/heartbeat", "").want(204)
	c.as("viewers-of-a", "PUT", "/v1/pools/default/backends/web-a/heartbeat", "").want(403)
}
