package fsm

import (
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
