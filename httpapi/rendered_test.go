package httpapi

import (
	"net/http/httptest"
	"strings"
	"testing"

	"evenkeel/cluster"
	"evenkeel/fsm"
)

// named is a cluster whose one node has been given a name.
type named struct {
	Cluster
	state *fsm.State
	name  string
}

func (n *named) State() *fsm.State { return n.state }
func (n *named) Members() []cluster.Member {
	return []cluster.Member{{UID: "u1", Name: n.name}}
}

func TestAKeptRenderingIsOfTheObjectAndTheNamesAsTheyAre(t *testing.T) {
	c := &named{state: fsm.New(), name: "before"}
	a := New(Config{Cluster: c})
	res := a.resource(fsm.KindBackend)
	backend := &fsm.Backend{Pool: "web", Name: "b", Status: fsm.BackendStatus{Votes: []fsm.Vote{{Observer: "u1", Health: fsm.HealthUp}}}}
	render := func(o *fsm.Backend) string {
		body, err := a.renderedBody(httptest.NewRequest("GET", "/", nil), res, o)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	first := render(backend)
	if !strings.Contains(first, `"node":"before"`) || render(backend) != first {
		t.Errorf("twice it is %s", first)
	}
	if slot := a.rendered.slot(backend.Ref()).Load(); slot == nil || slot.object != fsm.AnyObject(backend) {
		t.Error("it is not kept")
	}
	c.name = "after"
	if body := render(backend); !strings.Contains(body, `"node":"after"`) {
		t.Errorf("the node has another name, and it is %s", body)
	}
	next := *backend
	next.Spec.Weight = 7
	if body := render(&next); !strings.Contains(body, `"weight":7`) {
		t.Errorf("the object is another, and it is %s", body)
	}
	draining := next
	draining.Status.Drain = &fsm.Drain{State: fsm.DrainUnderWay}
	render(&draining)
	if slot := a.rendered.slot(draining.Ref()).Load(); slot.object == fsm.AnyObject(&draining) {
		t.Error("which nodes a drain waits for is kept")
	}
}
