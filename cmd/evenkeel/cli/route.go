package cli

import (
	"fmt"
	"strconv"
	"strings"

	"evenkeel/fsm"
)

func routeKind() *kind {
	return &kind{
		name: "route", plural: "routes",
		short: "which requests go to which pools",
		fields: []field{
			{flag: "pool", list: true, usage: "pool as NAME or NAME=WEIGHT (repeatable)", apply: setPools},
			{flag: "listener", list: true, usage: "listener of the route (repeatable; default: all)", apply: texts("listeners")},
			{flag: "host", usage: "host of the requests, or *.DOMAIN", apply: text("match.host")},
			{flag: "path", usage: "path of the requests", apply: text("match.path")},
			{flag: "path-prefix", usage: "first segments of the path", apply: text("match.path_prefix")},
			{flag: "priority", usage: "the route with the highest is tried first", apply: number("priority", "priority")},
		},
		head: []string{"NAME", "PRIORITY", "LISTENERS", "MATCH", "POOLS"},
		row:  routeRow,
	}
}

func routeRow(object []byte) ([]string, error) {
	r, err := decode[fsm.Route](object)
	if err != nil {
		return nil, err
	}
	listeners := strings.Join(r.Spec.Listeners, ",")
	if listeners == "" {
		listeners = "all"
	}
	var pools []string
	for _, p := range r.Spec.Pools {
		pools = append(pools, fmt.Sprintf("%s=%d", p.Name, p.Weight))
	}
	return []string{r.Name, strconv.Itoa(r.Spec.Priority), listeners, describeMatch(r.Spec.Match), strings.Join(pools, ",")}, nil
}

// describeMatch writes a match as one would write its URLs, such as
// "example.org/api/*".
func describeMatch(m fsm.RouteMatch) string {
	host := m.Host
	if host == "" {
		host = "*"
	}
	switch {
	case m.Path != "":
		return host + m.Path
	case m.PathPrefix != "":
		return host + strings.TrimSuffix(m.PathPrefix, "/") + "/*"
	}
	return host + "/*"
}

// setPools replaces the route's pools.
func setPools(d *document, texts []string) error {
	pools := []any{}
	for _, text := range texts {
		name, weight, weighted := strings.Cut(text, "=")
		pool := map[string]any{"name": name}
		if weighted {
			n, err := strconv.Atoi(weight)
			if err != nil {
				return usage(fmt.Sprintf("--pool %q: weight %q is not a whole number", text, weight))
			}
			pool["weight"] = n
		}
		pools = append(pools, pool)
	}
	d.setPath("pools", pools)
	return nil
}
