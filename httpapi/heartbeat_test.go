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
	c.cluster.onRenew = nil
	c.send("PUT", path, body).want(201)
	c.cluster.onRenew = lapse(1)
	c.send("PUT", path, body, "Idempotency-Key", "k").wantProblem(404, "not-found")
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
