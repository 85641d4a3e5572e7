package fsm

import (
	"fmt"
	"slices"
	"strings"
)

// Bounds of a route, part of the feature level.
const (
	maxRouteItems = 64
	maxPriority   = 1_000_000
	maxMatches    = 16
	maxMethod     = 32
	maxErrorPages = 16
)

func (s RouteSpec) validate(f *faults) {
	if len(s.Listeners) > maxRouteItems {
		f.add("/spec/listeners", "has %d names, at most %d are taken", len(s.Listeners), maxRouteItems)
	} else {
		for i, name := range s.Listeners {
			pointer := fmt.Sprintf("/spec/listeners/%d", i)
			CheckName(name, pointer, f.add)
			if slices.Contains(s.Listeners[:i], name) {
				f.add(pointer, "%q is listed twice: name each listener once", clip(name))
			}
		}
	}
	s.Match.validate(f)
	if s.Priority < -maxPriority || s.Priority > maxPriority {
		f.add("/spec/priority", "%d is not from -%d to %d", s.Priority, maxPriority, maxPriority)
	}
	checkNetworks(f, "/spec/allow", s.Allow)
	checkNetworks(f, "/spec/deny", s.Deny)
	s.validateAction(f)
	s.validatePools(f)
	if s.Redirect != nil {
		s.Redirect.validate(f, s.Match)
	}
	if s.Respond != nil {
		s.Respond.validate(f)
	}
	if s.Rewrite != nil {
		s.Rewrite.validate(f, s.Match)
	}
	checkEdits(f, "/spec/request_fields", s.RequestFields)
	checkEdits(f, "/spec/response_fields", s.ResponseFields)
	s.validateRest(f)
}

// validateAction reports what is not exactly one of pools, redirect and
// respond, and what only makes sense for requests that go to a pool.
func (s RouteSpec) validateAction(f *faults) {
	action := ""
	for _, a := range []struct {
		name string
		set  bool
	}{{"pools", len(s.Pools) > 0}, {"redirect", s.Redirect != nil}, {"respond", s.Respond != nil}} {
		switch {
		case a.set && action != "":
			f.add("/spec/"+a.name, "%s is set too: set exactly one of pools, redirect and respond", action)
		case a.set:
			action = a.name
		}
	}
	if action == "" {
		f.add("/spec/pools", `is empty, and neither redirect nor respond is set: set one of the three, as in "pools": [{"name":"default"}]`)
	}
	if action == "" || len(s.Pools) > 0 {
		return
	}
	for _, o := range []struct {
		name string
		set  bool
	}{
		{"rewrite", s.Rewrite != nil}, {"request_fields", len(s.RequestFields) > 0}, {"mirror", s.Mirror != nil},
		{"timeouts", s.Timeouts != nil}, {"retries", s.Retries != nil},
	} {
		if o.set {
			f.add("/spec/"+o.name, "is about requests that go to a backend, and a route with %s sends none: leave it out, or give pools instead", action)
		}
	}
}

func (s RouteSpec) validatePools(f *faults) {
	if len(s.Pools) > maxRouteItems {
		f.add("/spec/pools", "has %d pools, at most %d are taken", len(s.Pools), maxRouteItems)
		return
	}
	for i, pool := range s.Pools {
		pointer := fmt.Sprintf("/spec/pools/%d", i)
		CheckName(pool.Name, pointer+"/name", f.add)
		checkRange(f, pointer+"/weight", pool.Weight, 0, maxWeight)
		if slices.ContainsFunc(s.Pools[:i], func(p WeightedPool) bool { return p.Name == pool.Name }) {
			f.add(pointer+"/name", "%q is listed twice: name each pool once", clip(pool.Name))
		}
	}
}

// validateRest is about mirror, error pages, timeouts and retries.
func (s RouteSpec) validateRest(f *faults) {
	if m := s.Mirror; m != nil {
		CheckName(m.Pool, "/spec/mirror/pool", f.add)
		checkRange(f, "/spec/mirror/percent", m.Percent, 1, 100)
	}
	if len(s.ErrorPages) > maxErrorPages {
		f.add("/spec/error_pages", "has %d pages, at most %d are taken", len(s.ErrorPages), maxErrorPages)
	} else {
		for i, page := range s.ErrorPages {
			pointer := fmt.Sprintf("/spec/error_pages/%d", i)
			checkRange(f, pointer+"/status", page.Status, 400, 599)
			checkBody(f, pointer+"/body", page.Body)
			checkContentType(f, pointer+"/content_type", page.ContentType)
			if slices.ContainsFunc(s.ErrorPages[:i], func(p ErrorPage) bool { return p.Status == page.Status }) {
				f.add(pointer+"/status", "%d is listed twice: give each status one page", page.Status)
			}
		}
	}
	if t := s.Timeouts; t != nil {
		checkSpan(f, "/spec/timeouts/request", t.Request, minWait, maxWait)
		checkSpan(f, "/spec/timeouts/first_byte", t.FirstByte, minWait, maxWait)
	}
	if s.Retries != nil {
		checkRange(f, "/spec/retries/attempts", s.Retries.Attempts, 1, maxAttempts)
	}
}

func (m RouteMatch) validate(f *faults) {
	if m.Host != "" && !isHostName(strings.TrimPrefix(m.Host, "*.")) {
		f.add("/spec/match/host", `%q is not a host name: write "www.example.com", or "*.example.com" for every name below it, without a port`, clip(m.Host))
	}
	if m.SNI != "" && !isHostName(strings.TrimPrefix(m.SNI, "*.")) {
		f.add("/spec/match/sni", `%q is not a host name: write "www.example.com", or "*.example.com" for every name below it, without a port`, clip(m.SNI))
	}
	if m.Path != "" && m.PathPrefix != "" {
		f.add("/spec/match/path_prefix", "%q: path is set too (%q); set one of the two", clip(m.PathPrefix), clip(m.Path))
	}
	if m.PathRegexp != "" && (m.Path != "" || m.PathPrefix != "") {
		f.add("/spec/match/path_regexp", "%q: another match of the path is set too (%q); set one", clip(m.PathRegexp), clip(m.Path+m.PathPrefix))
	}
	checkMatchPath(f, "/spec/match/path", m.Path)
	checkMatchPath(f, "/spec/match/path_prefix", m.PathPrefix)
	checkRegexp(f, "/spec/match/path_regexp", m.PathRegexp)
	m.validateMethods(f)
	checkMatches(f, "/spec/match/headers", m.Headers, func(pointer string, v ValueMatch) {
		checkToken(f, pointer+"/name", "header field", v.Name)
		checkFieldValue(f, pointer+"/value", v.Value)
	})
	checkMatches(f, "/spec/match/query", m.Query, func(pointer string, v ValueMatch) {
		checkParameter(f, pointer+"/name", v.Name)
		if len(v.Value) > maxFieldValue {
			f.add(pointer+"/value", "has %d bytes, at most %d are taken", len(v.Value), maxFieldValue)
		}
	})
}

func (m RouteMatch) validateMethods(f *faults) {
	if len(m.Methods) > maxMatches {
		f.add("/spec/match/methods", "has %d methods, at most %d are taken", len(m.Methods), maxMatches)
		return
	}
	for i, method := range m.Methods {
		pointer := fmt.Sprintf("/spec/match/methods/%d", i)
		switch {
		case !isToken(method) || len(method) > maxMethod:
			f.add(pointer, "%q is not a method of at most %d bytes: write one such as \"GET\"", clip(method), maxMethod)
		case strings.ToUpper(method) != method:
			f.add(pointer, "%q matches no request, since methods are compared with case: write %q", method, strings.ToUpper(method))
		case slices.Contains(m.Methods[:i], method):
			f.add(pointer, "%q is listed twice: name each method once", method)
		}
	}
}

func checkMatches(f *faults, pointer string, matches []ValueMatch, check func(pointer string, v ValueMatch)) {
	if len(matches) > maxMatches {
		f.add(pointer, "has %d items, at most %d are taken", len(matches), maxMatches)
		return
	}
	for i, v := range matches {
		at := fmt.Sprintf("%s/%d", pointer, i)
		check(at, v)
		if v.Value != "" && v.Regexp != "" {
			f.add(at+"/regexp", "%q: value is set too (%q); set at most one of the two", clip(v.Regexp), clip(v.Value))
		}
		checkRegexp(f, at+"/regexp", v.Regexp)
	}
}
