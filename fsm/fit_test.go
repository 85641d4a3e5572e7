package fsm

import (
	"strings"
	"testing"
)

func listenerOf(name, protocol string) Put {
	return Put{Name: name, Spec: ListenerSpec{Address: ":" + map[string]string{"web": "80", "db": "5432"}[name], Protocol: protocol}}
}

func TestRoutesFitTheListenersThatTheyName(t *testing.T) {
	pools := []WeightedPool{{"default", 1}}
	for name, c := range map[string]struct {
		spec     RouteSpec
		pointer  string
		fits     string // protocols at which it stands
		pointers int    // how many faults at the others, 1 if 0
	}{
		"nothing":             {RouteSpec{Pools: pools}, "", "http https tcp tls-passthrough", 0},
		"access and attempts": {RouteSpec{Pools: pools, Allow: []string{"10.0.0.0/8"}, Retries: &RouteRetries{Attempts: 2}}, "", "http https tcp tls-passthrough", 0},
		"a server name":       {RouteSpec{Pools: pools, Match: RouteMatch{SNI: "a.test"}}, "/spec/match/sni", "https tls-passthrough", 0},
		"a host":              {RouteSpec{Pools: pools, Match: RouteMatch{Host: "a.test"}}, "/spec/match/host", "http https", 0},
		"a path":              {RouteSpec{Pools: pools, Match: RouteMatch{Path: "/a"}}, "/spec/match/path", "http https", 0},
		"a prefix":            {RouteSpec{Pools: pools, Match: RouteMatch{PathPrefix: "/a"}}, "/spec/match/path_prefix", "http https", 0},
		"a pattern":           {RouteSpec{Pools: pools, Match: RouteMatch{PathRegexp: "/a"}}, "/spec/match/path_regexp", "http https", 0},
		"a method":            {RouteSpec{Pools: pools, Match: RouteMatch{Methods: []string{"GET"}}}, "/spec/match/methods", "http https", 0},
		"a field":             {RouteSpec{Pools: pools, Match: RouteMatch{Headers: []ValueMatch{{Name: "A"}}}}, "/spec/match/headers", "http https", 0},
		"a parameter":         {RouteSpec{Pools: pools, Match: RouteMatch{Query: []ValueMatch{{Name: "a"}}}}, "/spec/match/query", "http https", 0},
		"a redirect":          {RouteSpec{Redirect: &Redirect{Status: 302, Path: "/a"}}, "/spec/redirect", "http https", 0},
		"a response":          {RouteSpec{Respond: &Respond{Status: 200, ContentType: "text/plain"}}, "/spec/respond", "http https", 0},
		"a rewrite":           {RouteSpec{Pools: pools, Rewrite: &Rewrite{Path: "/a"}}, "/spec/rewrite", "http https", 0},
		"edits":               {RouteSpec{Pools: pools, RequestFields: []FieldEdit{{EditRemove, "A", ""}}}, "/spec/request_fields", "http https", 0},
		"edits of responses":  {RouteSpec{Pools: pools, ResponseFields: []FieldEdit{{EditRemove, "A", ""}}}, "/spec/response_fields", "http https", 0},
		"a mirror":            {RouteSpec{Pools: pools, Mirror: &Mirror{"default", 1}}, "/spec/mirror", "http https", 0},
		"an error page":       {RouteSpec{Pools: pools, ErrorPages: []ErrorPage{{503, "a", "text/plain"}}}, "/spec/error_pages", "http https", 0},
		"timeouts":            {RouteSpec{Pools: pools, Timeouts: &RouteTimeouts{FirstByte: Duration(minWait)}}, "/spec/timeouts", "http https", 0},
		"two of them":         {RouteSpec{Pools: pools, Match: RouteMatch{Host: "a.test", Path: "/a"}}, "/spec/match/host", "http https", 2},
	} {
		for _, protocol := range listenerProtocols() {
			t.Run(name+" at "+protocol, func(t *testing.T) {
				r := newRegistryAt(t, FeatureLevel)
				r.must(listenerOf("db", protocol))
				route := Put{Name: "r", Spec: c.spec}
				r.must(route) // of all listeners, which it is for where it can be
				spec := c.spec
				spec.Listeners = []string{"db"}
				route.Spec = spec
				fits := strings.Contains(" "+c.fits+" ", " "+protocol+" ")
				if fits {
					r.must(route)
					return
				}
				err := r.refused(CodeInvalid, route)
				if len(err.Faults) != max(c.pointers, 1) || err.Faults[0].Pointer != c.pointer || !strings.Contains(err.Faults[0].Message, `listener "db" of protocol `+protocol) {
					t.Errorf("%v", err)
				}
				// And as the listener changes beneath it.
				r.must(listenerOf("web", ProtocolHTTPS))
				spec.Listeners = []string{"web"}
				if c.spec.Match.SNI == "" || protocol == ProtocolTCP || protocol == ProtocolHTTP {
					r.must(Put{Name: "r", Spec: spec})
					err = r.refused(CodeInvalid, listenerOf("web", protocol))
					if len(err.Faults) != max(c.pointers, 1) || err.Faults[0].Pointer != "/spec/protocol" || !strings.Contains(err.Faults[0].Message, `the route "r" names this listener`) {
						t.Errorf("%v", err)
					}
					// Both at once may change, in any order.
					plain := Put{Name: "r", Spec: RouteSpec{Listeners: []string{"web"}, Pools: pools}}
					r.must(txn(put(listenerOf("web", protocol)), put(plain)))
					r.refused(CodeInvalid, txn(put(Put{Name: "r", Spec: spec})))
					r.must(txn(put(Put{Name: "r", Spec: spec}), put(listenerOf("web", ProtocolHTTPS))))
					r.must(txn(deletion(Delete{Ref: Ref{Kind: KindRoute, Name: "r"}}), put(listenerOf("web", protocol))))
				}
			})
		}
	}
}

func TestAFaultIsToldOnceForManyListeners(t *testing.T) {
	r := newRegistryAt(t, FeatureLevel)
	r.must(listenerOf("db", ProtocolTCP))
	r.must(listenerOf("web", ProtocolTLSPassthrough))
	err := r.refused(CodeInvalid, Put{Name: "r", Spec: RouteSpec{Listeners: []string{"db", "web"}, Match: RouteMatch{Path: "/a"}, Pools: []WeightedPool{{"default", 1}}}})
	if len(err.Faults) != 1 {
		t.Errorf("%v", err)
	}
}

func TestAListenerIsToldOfSomeRoutes(t *testing.T) {
	r := newRegistryAt(t, FeatureLevel)
	r.must(listenerOf("db", ProtocolHTTP))
	for _, name := range strings.Fields("a b c d e f g h i j k l") {
		r.must(Put{Name: name, Spec: RouteSpec{Listeners: []string{"db"}, Match: RouteMatch{Path: "/" + name}, Pools: []WeightedPool{{"default", 1}}}})
	}
	if err := r.refused(CodeInvalid, listenerOf("db", ProtocolTCP)); len(err.Faults) != maxToldRoutes {
		t.Errorf("%v", err)
	}
}

// What stood before comes back whatever came since.
func TestWhatDoesNotFitIsNotInTheWayOfUndoing(t *testing.T) {
	r := newRegistryAt(t, FeatureLevel)
	pools := []WeightedPool{{"default", 1}}
	r.must(listenerOf("db", ProtocolTCP))
	r.command(Command{ConfirmWithin: minConfirmDuration, Op: listenerOf("db", ProtocolHTTP)})
	r.must(Put{Name: "r", Spec: RouteSpec{Listeners: []string{"db"}, Match: RouteMatch{Path: "/a"}, Pools: pools}})
	r.must(Confirm{Revision: r.Revision() - 1, Undo: true})
	if r.Listener("db").Spec.Protocol != ProtocolTCP || r.Route("r") == nil {
		t.Error("it was not undone")
	}
	same := throughSnapshot(t, r.State)
	if same.Digest() != r.Digest() {
		t.Error("a snapshot holds something else")
	}
	r.must(Put{Name: "r", Spec: RouteSpec{Listeners: []string{"db"}, Pools: pools}})
	before := r.State
	r.must(txn(put(listenerOf("db", ProtocolHTTP)), put(Put{Name: "r", Spec: RouteSpec{Listeners: []string{"db"}, Match: RouteMatch{Path: "/a"}, Pools: pools}})))
	var objects []Put
	for p := range before.Objects() {
		objects = append(objects, p)
	}
	r.must(RestorePart{ID: "back", Objects: objects, Last: true})
	if r.Listener("db").Spec.Protocol != ProtocolTCP || r.Route("r").Spec.Match.Path != "" {
		t.Error("it was not restored")
	}
}

// What an undoing has brought back stands in the registry, so that a restore and a
// rollback to it bring it back as well, whatever of it does not fit.
func TestARegistryWithWhatDoesNotFitComesBack(t *testing.T) {
	r := newRegistryAt(t, FeatureLevel)
	pools := []WeightedPool{{"default", 1}}
	r.must(listenerOf("db", ProtocolTCP))
	r.command(Command{ConfirmWithin: minConfirmDuration, Op: listenerOf("db", ProtocolHTTP)})
	r.must(Put{Name: "r", Spec: RouteSpec{Listeners: []string{"db"}, Match: RouteMatch{Path: "/a"}, Pools: pools}})
	r.must(Confirm{Revision: r.Revision() - 1, Undo: true})
	undone := r.State
	var objects []Put
	for p := range undone.Objects() {
		objects = append(objects, p)
	}
	stands := func(how string) {
		t.Helper()
		if r.Listener("db").Spec.Protocol != ProtocolTCP || r.Route("r") == nil || r.Route("r").Spec.Match.Path != "/a" {
			t.Errorf("%s: it is not what it was", how)
		}
	}
	mend := Put{Name: "r", Spec: RouteSpec{Listeners: []string{"db"}, Pools: pools}}
	r.must(mend)
	r.must(RestorePart{ID: "back", Objects: objects, Last: true})
	stands("a restore")
	r.must(mend)
	r.must(Rollback{To: undone.Revision()})
	stands("a rollback")

	// One that is limited to some objects is a change like others.
	r.must(mend)
	labels := map[string]string{"team": "a"}
	r.must(listenerOf("web", ProtocolHTTP))
	before := r.Revision()
	r.must(Put{Name: "s", Labels: labels, Spec: RouteSpec{Listeners: []string{"web"}, Match: RouteMatch{Path: "/s"}, Pools: pools}})
	of := r.Revision()
	r.must(Put{Name: "s", Labels: labels, Spec: RouteSpec{Listeners: []string{"web"}, Pools: pools}})
	r.must(listenerOf("web", ProtocolTCP))
	r.refused(CodeInvalid, Rollback{To: of, Labels: labels})
	r.must(Rollback{To: before, Labels: labels})
}
