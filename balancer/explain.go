package balancer

import (
	"net/netip"
	"slices"
	"strings"

	"evenkeel/balancer/engine"
	"evenkeel/balancer/exchange"
	"evenkeel/balancer/table"
	"evenkeel/fsm"
)

// OutcomeNoListener is that of a request that no listener of this node takes,
// besides those of package exchange.
const OutcomeNoListener = "no_listener"

// Inquiry is a request of which is asked what would become of it.
type Inquiry struct {
	Method string
	// Host is the authority of the URL, Port its port, or the scheme's, and Target
	// what follows, without a fragment; "" counts as "/".
	Host   string
	Port   uint16
	Target string
	// Fields are header fields, as "Name: value". A Host among them goes before the
	// URL's. None of the texts holds a line end.
	Fields []string
	Client netip.Addr
	// Listener is the one that takes it; "" has it found by host and port.
	Listener string
}

// Explanation is what would become of a request on this node.
type Explanation struct {
	// Node is for whoever knows its name. Revision is that of the registry by which
	// this node serves.
	Node     string          `json:"node"`
	Revision uint64          `json:"revision"`
	Zone     string          `json:"zone,omitempty"` // the node's
	Listener *ListenerChosen `json:"listener,omitempty"`
	exchange.Explanation
}

// How a listener was found, in [ListenerChosen].
const (
	ListenerNamed     = "named"     // the question names it
	ListenerAddress   = "address"   // it alone is at the URL's host and port
	ListenerOnly      = "only"      // there is no other, though it is at another port
	ListenerAmbiguous = "ambiguous" // there are several; the others are listed
)

// ListenerChosen is the listener that takes the request.
type ListenerChosen struct {
	Name string `json:"name"`
	// State, Address and Error are as in [ListenerStatus]; the state is "" of one
	// that this node has not opened yet.
	State   string `json:"state"`
	Address string `json:"address"`
	Error   string `json:"error,omitempty"`
	// How is one of the Listener constants.
	How string `json:"how"`
	// Others are further ones that might take it.
	Others []OtherListener `json:"others,omitempty"`
}

// OtherListener is one that might take the request too.
type OtherListener struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	// Route is the route that the request takes there, "" if none.
	Route string `json:"route"`
}

// maxOthers bounds the listeners that are listed.
const maxOthers = 100

// Explain returns what this node would do with a request, by the table that it
// serves with, without sending anything. Its cost follows the number of routes,
// and of backends in the pools of the one that is taken; it holds up no request.
func (b *Balancer) Explain(q *Inquiry) *Explanation {
	t, opened := b.Table(), b.Listeners()
	e := &Explanation{Revision: t.State().Revision(), Zone: b.config.Zone}
	wanted := addresses(t.State(), b.config.Bind, b.config.ListenerAddrs)
	names, how := q.listeners(wanted, opened)
	if len(names) == 0 {
		e.Outcome = exchange.Outcome{Kind: OutcomeNoListener, Text: "the registry has no listener, so nothing would accept the connection"}
		e.Request = exchange.Normalised{Method: q.Method, Client: clientText(q.Client)}
		return e
	}
	e.Listener = &ListenerChosen{Name: names[0], How: how, Address: wanted[names[0]]}
	if status, ok := opened[names[0]]; ok {
		e.Listener.State, e.Listener.Address, e.Listener.Error = status.State, status.Address, status.Error
	}
	e.Explanation = *exchange.Explain(q.question(t, names[0]))
	if e.Request.Method == "" { // it is no request that could be read
		e.Request = exchange.Normalised{Method: q.Method, Client: clientText(q.Client)}
	}
	for _, name := range names[1:min(len(names), maxOthers+1)] {
		e.Listener.Others = append(e.Listener.Others, OtherListener{
			Name: name, Address: wanted[name], Route: exchange.RouteOf(q.question(t, name)),
		})
	}
	b.addEjections(e)
	return e
}

func clientText(client netip.Addr) string {
	if !client.IsValid() {
		return ""
	}
	return client.String()
}

// addEjections says of backends that this node ejected why it did.
func (b *Balancer) addEjections(e *Explanation) {
	reasons := map[string]string{}
	for _, ejection := range b.Ejections() {
		reasons[ejection.UID] = ejection.Reason
	}
	e.Reasons(table.UseEjected, func(uid string) string { return reasons[uid] })
}

// Reasons adds what is known by UID of the backends with that use.
func (e *Explanation) Reasons(use table.Use, of func(uid string) string) {
	for p := range e.Pools {
		for i := range e.Pools[p].Backends {
			if backend := &e.Pools[p].Backends[i]; backend.Use == use {
				backend.Reason = of(backend.UID)
			}
		}
	}
}

// question is the request as the listener would read it.
func (q *Inquiry) question(t *table.Table, listener string) *exchange.Question {
	var spec fsm.ListenerSpec
	if object := t.State().Listener(listener); object != nil {
		spec = object.Spec
	}
	return &exchange.Question{
		Table: t, Listener: listener, Settings: engine.SettingsOf(spec), Head: q.head(), Peer: q.Client,
	}
}

// head is the request as a client sends it.
func (q *Inquiry) head() []byte {
	var head strings.Builder
	head.WriteString(q.Method + " ")
	if !strings.HasPrefix(q.Target, "/") {
		head.WriteString("/")
	}
	head.WriteString(q.Target + " HTTP/1.1\r\n")
	isHost := func(field string) bool {
		name, _, _ := strings.Cut(field, ":")
		return strings.EqualFold(name, "Host")
	}
	if !slices.ContainsFunc(q.Fields, isHost) {
		head.WriteString("Host: " + q.Host + "\r\n")
	}
	for _, field := range q.Fields {
		head.WriteString(field + "\r\n")
	}
	head.WriteString("\r\n")
	return []byte(head.String())
}

// listeners returns who might take the request, sorted by name: the one that is
// named; else those at the URL's port and host, that of the very address before
// those of all; else all that are wanted, for a port may be mapped on the way.
func (q *Inquiry) listeners(wanted map[string]string, opened map[string]ListenerStatus) (names []string, how string) {
	if q.Listener != "" {
		return []string{q.Listener}, ListenerNamed
	}
	var all, there []string
	best := 0
	for name, address := range wanted {
		all = append(all, name)
		if status, ok := opened[name]; ok {
			address = status.Address
		}
		switch rank := q.at(address); {
		case rank == 0 || rank < best:
		case rank > best:
			there, best = []string{name}, rank
		default:
			there = append(there, name)
		}
	}
	slices.Sort(all)
	slices.Sort(there)
	switch {
	case len(there) == 1:
		return there, ListenerAddress
	case len(there) > 1:
		return there, ListenerAmbiguous
	case len(all) == 1:
		return all, ListenerOnly
	}
	return all, ListenerAmbiguous
}

// at tells how well a listener's address fits the URL: 0 if it does not, 2 if it is
// the very IP address that the URL names, else 1, as a host name may stand for any.
func (q *Inquiry) at(address string) int {
	host, port, ok := fsm.SplitAddress(address)
	if !ok || port != q.Port {
		return 0
	}
	wanted, isName := netip.ParseAddr(strings.Trim(hostOf(q.Host), "[]"))
	switch at, err := netip.ParseAddr(host); {
	case mayBeAny(host), isName != nil, err != nil:
		return 1
	case wanted.Unmap() == at.Unmap():
		return 2
	}
	return 0
}

// hostOf is an authority without its port.
func hostOf(authority string) string {
	if colon := strings.LastIndexByte(authority, ':'); colon >= 0 && !strings.HasSuffix(authority, "]") {
		return authority[:colon]
	}
	return authority
}
