package httpapi

import (
	"slices"
	"strings"
	"testing"

	"evenkeel/cluster"
	"evenkeel/fsm"
)

func TestNamesAreCoveredAsTheRegistrySays(t *testing.T) {
	names := []string{"example", "a.example", "*.example", "b.a.example", "*.a.example", "192.0.2.1", "x.b.a.example"}
	hosts := append(slices.Clone(names), "*.b.a.example", "c.example", "other", "*.other")
	for mask := range 1 << len(names) {
		var some []string
		for i, name := range names {
			if mask>>i&1 != 0 {
				some = append(some, name)
			}
		}
		shown := newShownNames()
		shown.add(some)
		for _, host := range hosts {
			if want := fsm.NamesCover(some, host); shown.covers(host) != want {
				t.Fatalf("%v for %s: %t, want %t", some, host, !want, want)
			}
		}
		asked := fsm.ServerNames{Names: some}.Asked()
		for _, name := range hosts {
			want := slices.ContainsFunc(some, func(host string) bool { return fsm.NamesCover([]string{name}, host) })
			if asked.For(name) != want {
				t.Fatalf("%s for any of %v: %t, want %t", name, some, !want, want)
			}
		}
	}
}

func TestWarningsAreOfOneStateThoughTheRegistryMoves(t *testing.T) {
	r := newRegistry(t)
	r.apply(fsm.Command{Op: fsm.Put{Name: "web", Spec: fsm.ListenerSpec{Address: ":443", Protocol: fsm.ProtocolHTTPS}}})
	route := fsm.RouteSpec{Pools: []fsm.WeightedPool{{Name: "default", Weight: 1}}}
	route.Match.Host = "site.example"
	r.apply(fsm.Command{Op: fsm.Put{Name: "site", Spec: route}})
	r.apply(fsm.Command{Op: fsm.Put{Name: "c", Spec: fsm.CertificateSpec{Chain: "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n", SealedKey: "c2VhbGVk"}}})
	v := &viewer{nodes: func() *fsm.State { return r.state }, by: anEditor, chains: &chains{}}
	site := r.state.Route("site")
	before := v.routeWarnings(site)
	if len(before) != 1 || !strings.Contains(before[0], "is for site.example on web") {
		t.Fatalf("%q", before)
	}
	r.apply(fsm.Command{Op: fsm.Delete{Ref: fsm.Ref{Kind: fsm.KindListener, Name: "web"}}})
	if after := v.routeWarnings(site); !slices.Equal(after, before) {
		t.Errorf("%q, and once the listener is gone %q", before, after)
	}
}

func TestWhatANodeSaysOfAListenerNamesNoCertificateOfOthers(t *testing.T) {
	r := newRegistry(t)
	of := map[string]string{"team": "a"}
	r.apply(fsm.Command{Op: fsm.Put{Name: "web", Labels: of, Spec: fsm.ListenerSpec{Address: ":443", Protocol: fsm.ProtocolHTTPS}}})
	chain := "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n"
	r.apply(fsm.Command{Op: fsm.Put{Name: "own", Labels: of, Spec: fsm.CertificateSpec{Chain: chain, SealedKey: "c2VhbGVk"}}})
	r.apply(fsm.Command{Op: fsm.Put{Name: "secret-plan", Spec: fsm.CertificateSpec{Chain: chain, SealedKey: "c2VhbGVk"}}})
	told := func(by *principal, fault string) string {
		report := nodeReport{Report: Report{Listeners: map[string]ListenerStatus{"web": {State: "listening", Error: fault}}}, answered: true}
		v := &viewer{nodes: func() *fsm.State { return r.state }, members: func() []cluster.Member { return nil }, by: by, chains: &chains{}, reports: map[string]nodeReport{"n": report}}
		return listenerStatus(v, r.state.Listener("web")).(listenersView).Nodes["n"].Error
	}
	const own, other = `certificate "own" cannot be shown: why`, `certificate "secret-plan" cannot be shown: why`
	if got := told(ofTeamA, other); strings.Contains(got, "secret") || !strings.Contains(got, `which the token "l" does not see`) {
		t.Errorf("of another's: %q", got)
	}
	for by, fault := range map[*principal]string{ofTeamA: own, anEditor: other} {
		if got := told(by, fault); got != fault {
			t.Errorf("%s is told %q", by.name, got)
		}
	}
}
