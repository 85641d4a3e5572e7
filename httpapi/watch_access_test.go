package httpapi_test

import (
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"evenkeel/fsm"
)

func TestAWatchEndsWithItsToken(t *testing.T) {
	for name, end := range map[string]func(c *client){
		"deleted":         func(c *client) { c.cluster.apply(t, fsm.Delete{Ref: fsm.Ref{Kind: fsm.KindToken, Name: "ann"}}) },
		"of another role": func(c *client) { c.addToken("ann", fsm.TokenSpec{Role: fsm.RoleAdmin}) },
		"limited": func(c *client) {
			c.addToken("ann", fsm.TokenSpec{Role: fsm.RoleViewer, Labels: map[string]string{"team": "shop"}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient(t, withToken)
			c.addToken("ann", fsm.TokenSpec{Role: fsm.RoleViewer})
			p := newPipe()
			c.open("/v1/watch", p, "Authorization", "Bearer "+tokenOf("ann"))
			p.untilHas(t, "sync")
			end(c)
			text := p.untilHas(t, "event: error")
			if !strings.Contains(text, "/v1/problems/unauthorized") || strings.Contains(text, "event: delete") {
				t.Errorf("the stream is %q", text)
			}
		})
	}
}

func TestAWatchEndsWhenItsTokenExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, withToken)
		expires := time.Now().Add(23 * time.Second)
		c.addToken("ann", fsm.TokenSpec{Role: fsm.RoleViewer, Expires: &expires})
		p := newPipe()
		closed := c.open("/v1/watch", p, "Authorization", "Bearer "+tokenOf("ann"))
		p.untilHas(t, "event: error")
		if late := time.Since(expires); late < 0 || late > time.Second {
			t.Errorf("it ended %s after", late)
		}
		closed()
	})
}

func TestABlockingWatchEndsWhenItsTokenExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, withToken)
		expires := time.Now().Add(7 * time.Second)
		c.addToken("ann", fsm.TokenSpec{Role: fsm.RoleViewer, Expires: &expires})
		index := strconv.FormatUint(c.cluster.State().Revision(), 10)
		c.as("ann", "GET", "/v1/watch?wait=60s&index="+index, "").wantProblem(401, "unauthorized")
		if late := time.Since(expires); late < 0 || late > time.Second {
			t.Errorf("it ended %s after", late)
		}
	})
}

func TestAWatchEndsWhenItsTokenExpiresThoughThatWasLaterAtFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, withToken)
		expires := time.Now().Add(time.Hour)
		c.addToken("ann", fsm.TokenSpec{Role: fsm.RoleViewer, Expires: &expires})
		p := newPipe()
		closed := c.open("/v1/watch", p, "Authorization", "Bearer "+tokenOf("ann"))
		p.untilHas(t, "sync")
		sooner := time.Now().Add(13 * time.Second)
		c.addToken("ann", fsm.TokenSpec{Role: fsm.RoleViewer, Expires: &sooner})
		p.untilHas(t, "event: error")
		if late := time.Since(sooner); late < 0 || late > time.Second {
			t.Errorf("it ended %s after", late)
		}
		closed()
	})
}

func TestAWatchShowsWhatItsTokenMaySee(t *testing.T) {
	c := newClient(t, withToken)
	c.addToken("shop", fsm.TokenSpec{Role: fsm.RoleViewer, Labels: map[string]string{"team": "shop"}})
	c.addToken("all", fsm.TokenSpec{Role: fsm.RoleViewer})
	begin := c.cluster.State().Revision()
	shop := map[string]string{"team": "shop"}
	c.cluster.putBackend(t, "default", "a", 1, shop)
	c.cluster.putBackend(t, "default", "b", 1, nil)
	c.cluster.putBackend(t, "default", "b", 1, shop)
	c.cluster.putBackend(t, "default", "a", 1, map[string]string{"team": "mail"})
	c.addToken("third", fsm.TokenSpec{Role: fsm.RoleViewer})
	if begin != 3 {
		t.Fatalf("the first revision is %d", begin)
	}
	for token, want := range map[string][]string{
		"shop": {"put create default/a 4 id 4", "put create default/b 6 by filter id 6", "delete delete default/a 7 by filter id 7", "sync 8"},
		"all": {
			"put create default/a 4 id 4", "put create default/b 5 id 5", "put update default/b 6 id 6", "put update default/a 7 id 7", "sync 8",
		},
	} {
		p := newPipe()
		c.open("/v1/watch?since=3", p, "Authorization", "Bearer "+tokenOf(token))
		wantBriefs(t, p.untilHas(t, "sync"), want...)
		c.as(token, "GET", "/v1/watch?kind=backend,token", "").wantProblem(403, "forbidden")
	}
	p := newPipe()
	c.open("/v1/watch?since=0&snapshot=true&kind=token", p, "Authorization", "Bearer sesame")
	text := p.untilHas(t, "sync")
	wantBriefs(t, text, "put create /all 3 snapshot", "put create /shop 2 snapshot", "put create /third 8 snapshot", "sync 8")
	if strings.Contains(text, c.cluster.State().Token("all").Spec.Hash) {
		t.Error("the hash of a token is shown")
	}
}
