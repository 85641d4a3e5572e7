package httpapi

import (
	"cmp"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"evenkeel/fsm"
)

// expiresSoon is how long before its end a certificate is warned of: whoever renews by
// a program does it at a third of 90 days.
const expiresSoon = 14 * 24 * time.Hour

// usedBy are the names of what shows a certificate: listeners of https that name it, or
// name none and so show all, and pools, to their backends.
type usedBy struct {
	Listeners []string `json:"listeners"`
	Pools     []string `json:"pools"`
}

// tlsIndex is what of a state certificates, listeners and routes say together. What is
// told of it by name is what one reader sees.
type tlsIndex struct {
	state     *fsm.State
	shownBy   map[string][]string // listeners by certificate
	usedBy    map[string]usedBy   // those that the reader sees
	listeners map[string]*shownNames
	asked     map[string]*askedNames // by listener; nil until somebody needs it
}

// shownNames are what a listener of https has certificates for.
type shownNames struct {
	seen         bool // by the reader
	certificates int
	names        map[string]struct{}
	under        map[string]struct{} // their suffixes that begin with a dot
}

func newShownNames() *shownNames {
	return &shownNames{names: map[string]struct{}{}, under: map[string]struct{}{}}
}

// add takes in a certificate for those names.
func (n *shownNames) add(names []string) {
	n.certificates++
	for _, name := range names {
		if _, twice := n.names[name]; twice {
			continue
		}
		n.names[name] = struct{}{}
		for suffix := range fsm.NameSuffixes(name) {
			n.under[suffix] = struct{}{}
		}
	}
}

// covers is [fsm.NamesCover] of those names, at a cost that does not grow with them.
func (n *shownNames) covers(host string) bool {
	if suffix, wild := strings.CutPrefix(host, "*"); wild {
		_, covered := n.under[suffix]
		return covered
	}
	_, exact := n.names[host]
	_, parent, dotted := strings.Cut(host, ".")
	_, wild := n.names["*."+parent]
	return exact || dotted && wild
}

// askedNames are what clients of a listener of https may ask for.
type askedNames struct {
	*fsm.AskedNames
	// seen are those that routes which the reader sees are for, sorted.
	seen []string
}

// tls returns the index of the state that there is now, made once. It costs what there
// is of certificates, and not what there is of routes.
func (v *viewer) tls() *tlsIndex {
	if v.index != nil {
		return v.index
	}
	s := v.nodes()
	v.index = &tlsIndex{state: s, shownBy: map[string][]string{}, usedBy: map[string]usedBy{}, listeners: map[string]*shownNames{}}
	var all *shownNames // is the same for each listener that shows all
	for listener := range s.Listeners() {
		if listener.Spec.Protocol != fsm.ProtocolHTTPS {
			continue
		}
		shown := newShownNames()
		known := listener.Spec.ShowsAll() && all != nil
		if known {
			*shown = *all
		}
		shown.seen = v.by.sees(listener)
		for _, certificate := range shownCertificates(s, listener) {
			if !known {
				shown.add(v.chains.of(s, certificate).names)
			}
			v.index.shownBy[certificate.Name] = append(v.index.shownBy[certificate.Name], listener.Name)
			if shown.seen {
				used := v.index.usedBy[certificate.Name]
				used.Listeners = append(used.Listeners, listener.Name)
				v.index.usedBy[certificate.Name] = used
			}
		}
		if listener.Spec.ShowsAll() {
			all = shown
		}
		v.index.listeners[listener.Name] = shown
	}
	for pool := range s.Pools() {
		if t := pool.Spec.TLS; t != nil && t.Certificate != "" && v.by.sees(pool) {
			used := v.index.usedBy[t.Certificate]
			used.Pools = append(used.Pools, pool.Name)
			v.index.usedBy[t.Certificate] = used
		}
	}
	return v.index
}

// asked returns what clients of a listener of https may ask for.
func (v *viewer) asked(listener string) *askedNames {
	x := v.tls()
	if x.asked == nil {
		asked := x.state.ServerNames(nil)
		seen := asked
		if v.by.limited() {
			seen = x.state.ServerNames(func(r *fsm.Route) bool { return v.by.sees(r) })
		}
		x.asked = map[string]*askedNames{}
		for name, names := range asked {
			x.asked[name] = &askedNames{names.Asked(), seen[name].Names}
		}
	}
	return x.asked[listener]
}

// shownCertificates are those of a listener of https that are there.
func shownCertificates(s *fsm.State, listener *fsm.Listener) []*fsm.Certificate {
	if listener.Spec.ShowsAll() {
		return slices.Collect(s.Certificates())
	}
	var all []*fsm.Certificate
	for _, name := range listener.Spec.EffectiveTLS().Certificates {
		if certificate := s.Certificate(name); certificate != nil {
			all = append(all, certificate)
		}
	}
	return all
}

// certificateNames are what a certificate is for, in lower case; none of nil.
func certificateNames(leaf *x509.Certificate) []string {
	names := []string{}
	if leaf == nil {
		return names
	}
	for _, name := range leaf.DNSNames {
		names = append(names, strings.ToLower(name))
	}
	for _, address := range leaf.IPAddresses {
		names = append(names, address.String())
	}
	return names
}

// certificateWarnings are why a certificate is of no use to those who show it, or soon
// will be.
func (v *viewer) certificateWarnings(o *fsm.Certificate, now time.Time) []string {
	var warnings []string
	said := v.chains.of(v.nodes(), o)
	from, until, ok := said.valid()
	switch {
	case !ok:
	case now.After(until):
		warnings = append(warnings, "it expired at "+until.Format(time.RFC3339)+": renew it")
	case until.Sub(now) < expiresSoon:
		warnings = append(warnings, "it expires at "+until.Format(time.RFC3339)+", within 14 days: renew it")
	}
	if ok && now.Before(from) {
		warnings = append(warnings, "it is not valid before "+from.Format(time.RFC3339)+": wait, or set the clocks of the nodes")
	}
	names, used := said.names, v.tls().usedBy[o.Name]
	switch shownBy := v.tls().shownBy[o.Name]; {
	case !ok || len(used.Pools) > 0:
	case len(names) == 0:
		warnings = append(warnings, "it is for no name that clients look at: have it issued with a subject alternative name")
	case len(shownBy) > 0 && !v.anyAsksFor(shownBy, names):
		warnings = append(warnings, fmt.Sprintf("no route of a listener that shows it is for a host that it is for (%s): name that in match.host, or have it issued for the hosts of the routes", few(names)))
	}
	return warnings
}

// anyAsksFor tells whether a route of the listeners is for any name, or one of those.
func (v *viewer) anyAsksFor(listeners, names []string) bool {
	return slices.ContainsFunc(listeners, func(name string) bool {
		return slices.ContainsFunc(names, v.asked(name).For)
	})
}

// listenerWarnings are what clients of a listener of https will find wrong.
func (v *viewer) listenerWarnings(o *fsm.Listener) []string {
	if o.Spec.Protocol != fsm.ProtocolHTTPS {
		return nil
	}
	shown := v.tls().listeners[o.Name]
	if shown == nil { // it was deleted since
		return nil
	}
	if shown.certificates == 0 {
		return []string{"it has no certificate to show, and refuses every handshake: write one, PUT /v1/certificates/NAME"}
	}
	bare := slices.DeleteFunc(slices.Clone(v.asked(o.Name).seen), shown.covers)
	if len(bare) == 0 {
		return nil
	}
	return []string{"none of its certificates is for these hosts of its routes: " + few(bare) + ": clients that ask for them will not believe it"}
}

// routeWarnings are listeners of https whose clients cannot ask for the route's host.
func (v *viewer) routeWarnings(o *fsm.Route) []string {
	host := o.Spec.ServerName()
	if host == "" || v.nodes().Count(fsm.KindCertificate) == 0 {
		return nil
	}
	var bare []string
	for name, shown := range v.tls().listeners {
		if len(o.Spec.Listeners) > 0 && !slices.Contains(o.Spec.Listeners, name) {
			continue
		}
		if shown.seen && !shown.covers(host) {
			bare = append(bare, name)
		}
	}
	if len(bare) == 0 {
		return nil
	}
	slices.SortFunc(bare, cmp.Compare[string])
	return []string{fmt.Sprintf("no certificate is for %s on %s: clients that ask for it there will not believe it", host, few(bare))}
}

// maxFew is how many names a warning has.
const maxFew = 5

func few(names []string) string {
	if len(names) <= maxFew {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:maxFew], ", "), len(names)-maxFew)
}

// routeView is a route's status.
type routeView struct {
	Warnings []string `json:"warnings,omitempty"`
}

func routeStatus(v *viewer, o *fsm.Route) any { return routeView{v.routeWarnings(o)} }

// standsAlone tells whether an object's answer says nothing of other objects, nor of
// the time.
func (a *API) standsAlone(o fsm.AnyObject) bool {
	switch o.(type) {
	case *fsm.Certificate:
		return false
	case *fsm.Route:
		return a.config.Cluster.State().Count(fsm.KindCertificate) == 0
	}
	return true
}
