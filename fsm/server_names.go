package fsm

import (
	"iter"
	"slices"
	"strings"
)

// ServerNames are what clients of a listener may ask for in their hello, as its
// routes say.
type ServerNames struct {
	// Names are hosts, in lower case, sorted and without repeats; they may begin with
	// "*.".
	Names []string
	// Any tells that some route is for whatever name.
	Any bool
}

// ServerNames returns, by listener, the names of all of protocol https. Routes for
// which sees is false are left out; nil sees all.
func (s *State) ServerNames(sees func(*Route) bool) map[string]ServerNames {
	all := map[string]ServerNames{}
	for listener := range s.Listeners() {
		if listener.Spec.Protocol == ProtocolHTTPS {
			all[listener.Name] = ServerNames{}
		}
	}
	if len(all) == 0 {
		return all
	}
	for route := range s.Routes() {
		if sees != nil && !sees(route) {
			continue
		}
		host := route.Spec.ServerName()
		for name, names := range all {
			if len(route.Spec.Listeners) > 0 && !slices.Contains(route.Spec.Listeners, name) {
				continue
			}
			if host == "" {
				names.Any = true
			} else {
				names.Names = append(names.Names, host)
			}
			all[name] = names
		}
	}
	for name, names := range all {
		slices.Sort(names.Names)
		names.Names = slices.Compact(names.Names)
		all[name] = names
	}
	return all
}

// AskedNames tell of a certificate's name whether it is asked for, at a cost that does
// not grow with how many there are. They are immutable.
type AskedNames struct {
	any bool
	// exact are hosts, parents what is behind their first dot, and wild what is behind
	// the asterisk of those that have one.
	exact, parents, wild map[string]struct{}
}

// Asked returns what the names are looked up in.
func (n ServerNames) Asked() *AskedNames {
	asked := &AskedNames{n.Any, map[string]struct{}{}, map[string]struct{}{}, map[string]struct{}{}}
	for _, host := range n.Names {
		if suffix, wild := strings.CutPrefix(host, "*"); wild {
			asked.wild[suffix] = struct{}{}
			continue
		}
		asked.exact[host] = struct{}{}
		if _, parent, dotted := strings.Cut(host, "."); dotted {
			asked.parents[parent] = struct{}{}
		}
	}
	return asked
}

// For tells whether [NamesCover] holds of a certificate's name, in lower case, and any
// of them, or any name will do.
func (n *AskedNames) For(name string) bool {
	if _, exact := n.exact[name]; exact || n.any {
		return true
	}
	if parent, wild := strings.CutPrefix(name, "*."); wild {
		if _, has := n.parents[parent]; has {
			return true
		}
	}
	for suffix := range NameSuffixes(name) {
		if _, has := n.wild[suffix]; has {
			return true
		}
	}
	return false
}

// NameSuffixes yields what of a name begins with a dot.
func NameSuffixes(name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range len(name) {
			if name[i] == '.' && !yield(name[i:]) {
				return
			}
		}
	}
}

// ServerName is the name that clients of the route ask for in their hello, in lower
// case; "" if any will do.
func (r RouteSpec) ServerName() string {
	if r.Match.SNI != "" {
		return strings.ToLower(r.Match.SNI)
	}
	return strings.ToLower(r.Match.Host)
}

// ShowsAll tells whether a listener shows all certificates of the registry.
func (s ListenerSpec) ShowsAll() bool {
	return s.Protocol == ProtocolHTTPS && len(s.EffectiveTLS().Certificates) == 0
}

// NamesCover tells whether a certificate for those names, in lower case, is for some
// client that asks for the host, which may begin with "*.": RFC 6125 section 6.4.3.
func NamesCover(names []string, host string) bool {
	if suffix, wild := strings.CutPrefix(host, "*"); wild {
		return slices.ContainsFunc(names, func(name string) bool { return strings.HasSuffix(name, suffix) })
	}
	_, parent, dotted := strings.Cut(host, ".")
	return slices.ContainsFunc(names, func(name string) bool {
		return name == host || dotted && name == "*."+parent
	})
}
