package fsm

import (
	"slices"
	"testing"
)

func TestServerNamesAreThoseOfAListenersRoutes(t *testing.T) {
	r := newRegistry(t)
	r.must(Put{Name: "web", Spec: ListenerSpec{Address: ":443", Protocol: ProtocolHTTPS}})
	r.must(Put{Name: "other", Spec: ListenerSpec{Address: ":444", Protocol: ProtocolHTTPS}})
	route := func(name string, match RouteMatch, listeners ...string) Put {
		return Put{Name: name, Spec: RouteSpec{Listeners: listeners, Match: match, Pools: []WeightedPool{{Name: "default", Weight: 1}}}}
	}
	for _, put := range []Put{route("a", RouteMatch{Host: "b.test"}), route("b", RouteMatch{Host: "b.test", Path: "/x"}, "web"),
		route("c", RouteMatch{SNI: "*.a.test"}, "web"), route("d", RouteMatch{Path: "/y"}, "other")} {
		r.must(put)
	}
	names := r.State.ServerNames(nil)
	if got := names["web"]; !slices.Equal(got.Names, []string{"*.a.test", "b.test"}) || got.Any {
		t.Errorf("web has %+v", got)
	}
	if got := names["other"]; !slices.Equal(got.Names, []string{"b.test"}) || !got.Any {
		t.Errorf("other has %+v", got)
	}
	if _, found := names["default"]; found || len(names) != 2 {
		t.Errorf("%v", names)
	}
	if got := r.State.ServerNames(func(o *Route) bool { return o.Name == "b" })["other"]; len(got.Names) > 0 || got.Any {
		t.Errorf("of what is not seen there is %+v", got)
	}
}

func TestACertificateCoversItsNamesAndOneLabel(t *testing.T) {
	names := []string{"a.test", "*.b.test"}
	for host, want := range map[string]bool{
		"a.test": true, "b.test": false, "x.b.test": true, "x.y.b.test": false, "x.a.test": false, "*.b.test": true, "*.a.test": false, "*.test": true, "test": false,
	} {
		if NamesCover(names, host) != want {
			t.Errorf("%s: %v", host, !want)
		}
	}
}
