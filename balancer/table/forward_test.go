package table

import (
	"testing"

	"evenkeel/fsm"
)

// forwarding is a route of listener "l" with a pool.
func forwarding(name string, priority int) *fsm.Route {
	object := &fsm.Route{Spec: fsm.RouteSpec{
		Listeners: []string{"l"}, Priority: priority, Pools: []fsm.WeightedPool{{Name: "p", Weight: 1}},
	}}
	object.Name = name
	return object
}

func TestForwardsGoByServerName(t *testing.T) {
	f := newForwards()
	add := func(serverName string, object *fsm.Route) {
		f = f.with(serverName, object, compileRoute(object, nil))
	}
	add("", forwarding("all", 0))
	add("a.example", forwarding("exact", 0))
	add("*.example", forwarding("wildcard", 0))
	add("*.deep.example", forwarding("deeper", 0))
	add("*.first.example", forwarding("first", 5))
	add("b.first.example", forwarding("later", 0))
	for _, c := range []struct{ listener, serverName, want string }{
		{"l", "a.example", "exact"},
		{"l", "A.Example", "exact"},
		{"l", "b.example", "wildcard"},
		{"l", "x.y.example", "wildcard"},
		{"l", "x.deep.example", "deeper"},
		{"l", "b.first.example", "first"},
		{"l", "example", "all"},
		{"l", "", "all"},
		{"l", "other.test", "all"},
		{"m", "a.example", ""},
	} {
		got := ""
		if route := f.find(c.listener, c.serverName); route != nil {
			got = route.Name
		}
		if got != c.want {
			t.Errorf("%q at %q takes %q, want %q", c.serverName, c.listener, got, c.want)
		}
	}
	f = f.without("a.example", forwarding("exact", 0))
	if route := f.find("l", "a.example"); route == nil || route.Name != "wildcard" {
		t.Errorf("after its removal it is taken by %v", route)
	}
}

func TestRoutesOfRequestsTakeNoConnections(t *testing.T) {
	for name, spec := range map[string]fsm.RouteSpec{
		"for all listeners":   {Pools: []fsm.WeightedPool{{Name: "p", Weight: 1}}},
		"with a host":         {Listeners: []string{"l"}, Match: fsm.RouteMatch{Host: "a.example"}, Pools: []fsm.WeightedPool{{Name: "p"}}},
		"with a path":         {Listeners: []string{"l"}, Match: fsm.RouteMatch{PathPrefix: "/"}, Pools: []fsm.WeightedPool{{Name: "p"}}},
		"with a method":       {Listeners: []string{"l"}, Match: fsm.RouteMatch{Methods: []string{"GET"}}, Pools: []fsm.WeightedPool{{Name: "p"}}},
		"with a response":     {Listeners: []string{"l"}, Respond: &fsm.Respond{Status: 200}},
		"with another's name": {Listeners: []string{"m"}, Pools: []fsm.WeightedPool{{Name: "p", Weight: 1}}},
	} {
		object := &fsm.Route{Spec: spec}
		object.Name = "r"
		f := newForwards().with("", object, compileRoute(object, nil))
		if route := f.find("l", "a.example"); route != nil {
			t.Errorf("a route %s took a connection", name)
		}
		if f = f.without("", object); f.find("l", "") != nil {
			t.Errorf("a route %s came by its removal", name)
		}
	}
}

func TestServerNamesFit(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"a.example", "a.example", true}, {"a.example", "A.EXAMPLE", true}, {"a.example", "b.example", false}, {"a.example", "", false},
		{"*.example", "a.example", true}, {"*.example", "a.b.Example", true}, {"*.example", "example", false}, {"*.example", ".example", false},
	} {
		conditions := conditions{serverName: c.pattern}
		kind, _ := conditions.unmet(&Request{ServerName: c.name})
		if got := kind == missNone; got != c.want {
			t.Errorf("%q is taken by %s: %v", c.name, c.pattern, got)
		}
	}
}
