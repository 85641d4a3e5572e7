package conformance

import (
	"fmt"
	"strings"
)

// sameField tells whether two field lines are equal but for white space around
// the value, which is no part of it (RFC 9112 section 5.1).
func sameField(got, want string) bool {
	name, value, _ := strings.Cut(got, ":")
	wantName, wantValue, _ := strings.Cut(want, ":")
	return name == wantName && strings.Trim(value, " \t") == strings.Trim(wantValue, " \t")
}

// diffForwarding says what is wrong with the fields that tell the backend about
// a client that is not trusted: they say what the proxy knows, once.
func diffForwarding(m *message) string {
	host := strings.Join(m.values("Host"), "")
	for _, field := range [][2]string{{"X-Forwarded-For", "127.0.0.1"}, {"X-Forwarded-Proto", "http"}, {"X-Forwarded-Host", host}} {
		name, want := field[0], field[1]
		values := m.values(name)
		if host == "" && name == "X-Forwarded-Host" && len(values) == 0 {
			continue
		}
		if len(values) != 1 || values[0] != want {
			return fmt.Sprintf("%s %q, want %q", name, values, want)
		}
	}
	values := m.values("Forwarded")
	if len(values) != 1 {
		return fmt.Sprintf("Forwarded %q, want one", values)
	}
	return diffForwarded(values[0], host)
}

// diffForwarded is RFC 7239 section 4: one element, with pairs in any order.
func diffForwarded(value, host string) string {
	quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(host) + `"`
	for pair := range strings.SplitSeq(value, ";") {
		name, v, _ := strings.Cut(pair, "=")
		good := false
		switch strings.ToLower(name) {
		case "for":
			good = v == "127.0.0.1"
		case "proto":
			good = v == "http"
		case "host":
			good = v == quoted || v == host && isToken(host)
		}
		if !good {
			return fmt.Sprintf("Forwarded %q: pair %q", value, pair)
		}
	}
	if !strings.Contains(strings.ToLower(value), "for=127.0.0.1") {
		return fmt.Sprintf("Forwarded %q does not say for whom", value)
	}
	return ""
}
