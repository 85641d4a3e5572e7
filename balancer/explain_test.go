package balancer

import (
	"net/http"
	"net/netip"
	"reflect"
	"testing"

	"evenkeel/balancer/exchange"
	"evenkeel/balancer/table"
	"evenkeel/fsm"
	"evenkeel/internal/freeport"
)

func TestTheListenerOfAURLIsFoundByItsHostAndPort(t *testing.T) {
	wanted := map[string]string{"all": ":80", "v4": "192.0.2.1:80", "v6": "[2001:db8::1]:80", "high": "0.0.0.0:8080", "name": "lb.test:81"}
	for name, test := range map[string]struct {
		host   string
		port   uint16
		named  string
		wanted map[string]string
		names  []string
		how    string
	}{
		"it is named":                                {"h", 9, "high", wanted, []string{"high"}, ListenerNamed},
		"one at the port":                            {"shop.test", 8080, "", wanted, []string{"high"}, ListenerAddress},
		"the very address goes before all":           {"192.0.2.1", 80, "", wanted, []string{"v4"}, ListenerAddress},
		"that of IPv6 too":                           {"[2001:db8::1]:80", 80, "", wanted, []string{"v6"}, ListenerAddress},
		"another address is taken by that of all":    {"192.0.2.9", 80, "", wanted, []string{"all"}, ListenerAddress},
		"a name may stand for any":                   {"shop.test", 80, "", wanted, []string{"all", "v4", "v6"}, ListenerAmbiguous},
		"a listener may be at a name":                {"192.0.2.1:81", 81, "", wanted, []string{"name"}, ListenerAddress},
		"without one at the port it may be any":      {"h", 1, "", wanted, []string{"all", "high", "name", "v4", "v6"}, ListenerAmbiguous},
		"without one at the port it is the only":     {"h", 1, "", map[string]string{"web": ":80"}, []string{"web"}, ListenerOnly},
		"there is none":                              {"h", 80, "", nil, nil, ListenerAmbiguous},
		"where it is bound goes before what is said": {"h", 4000, "", map[string]string{"web": ":80", "bound": ":81"}, []string{"bound"}, ListenerAddress},
	} {
		t.Run(name, func(t *testing.T) {
			q := &Inquiry{Host: test.host, Port: test.port, Listener: test.named}
			names, how := q.listeners(test.wanted, map[string]ListenerStatus{"bound": {Address: "[::]:4000"}})
			if !reflect.DeepEqual(names, test.names) || how != test.how {
				t.Errorf("found %q by %s, want %q by %s", names, how, test.names, test.how)
			}
		})
	}
}

func ask(host string, port uint16) *Inquiry {
	return &Inquiry{Method: "GET", Host: host, Port: port, Target: "/", Client: netip.MustParseAddr("192.0.2.1")}
}

func TestExplainGoesByTheTableInUse(t *testing.T) {
	r := withBackend(t, backend(t, hello))
	n := run(t, Config{Bind: "127.0.0.1"}, r)
	eventually(t, "there is a table", func() bool { return n.Table().State().Revision() > 0 })
	if e := n.Explain(ask("h", 80)); e.Outcome.Kind != OutcomeNoListener || e.Listener != nil || e.Request.Client != "192.0.2.1" {
		t.Errorf("without a listener: %+v", e)
	}
	r.do(listener("one", ":0"), listener("two", ":0"), fsm.Put{Name: "for-two", Spec: fsm.RouteSpec{
		Listeners: []string{"two"}, Match: fsm.RouteMatch{Host: "h"}, Respond: &fsm.Respond{Status: 200, ContentType: "text/plain"},
	}})
	n.listening("one")
	n.listening("two")
	e := n.Explain(ask("h", 1))
	if e.Listener.Name != "one" || e.Listener.State != StateListening || len(e.Listener.Others) != 1 || e.Listener.Others[0].Route != "for-two" {
		t.Errorf("the listener is %+v", e.Listener)
	}
	if e.Route.Name != "r" || e.Outcome.Kind != exchange.OutcomeBackend || e.Pools[0].Choice.Backend != "b" || e.Revision != n.Table().State().Revision() {
		t.Errorf("explained as %+v", e)
	}
	for _, s := range n.Stats().Backends {
		if s.Requests != 0 {
			t.Errorf("a request was counted: %+v", s)
		}
	}
	if e := n.Explain(&Inquiry{Method: "GET", Host: "b@d", Port: 80, Target: "/"}); e.Outcome.Kind != exchange.OutcomeRefused || e.Outcome.Status != 400 || e.Request.Method != "GET" {
		t.Errorf("what is no request is explained as %+v", e)
	}
	if e := n.Explain(&Inquiry{Method: "GET", Host: "h", Port: 1, Fields: []string{"host: other"}}); e.Request.Host != "other" || e.Request.Path != "/" {
		t.Errorf("the Host field is not heeded: %+v", e.Request)
	}
}

func TestExplainSaysWhyABackendIsEjected(t *testing.T) {
	r := withBackend(t, backend(t, hello))
	r.do(fsm.Put{Pool: "p", Name: "dead", Spec: fsm.BackendSpec{Address: freeport.Address(t, "127.0.0.1"), Weight: 1, AdminState: fsm.AdminReady}}, listener("web", ":0"))
	n := run(t, Config{Bind: "127.0.0.1"}, r)
	address := n.listening("web")
	eventually(t, "the dead backend is ejected", func() bool {
		if _, err := get(http.DefaultClient, address); err != nil {
			t.Fatal(err)
		}
		for _, b := range n.Explain(ask("h", 80)).Pools[0].Backends {
			if b.Name == "dead" && b.Use == table.UseEjected && b.Reason == table.FaultConnect && b.Share == 0 {
				return true
			}
		}
		return false
	})
}
