package client

import (
	"fmt"
	"net"
	"net/url"
	"strings"
)

// DefaultPort is the port of a node's API where an address names none.
const DefaultPort = "7070"

// ParseBases reads a comma separated list of URLs, HOST:PORT or HOST, and
// returns URLs without a slash at the end. At least one must be there. The
// address of a listener on all interfaces, such as 0.0.0.0:7070, becomes one of
// loopback.
func ParseBases(text string) ([]string, error) {
	var bases []string
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		base, err := parseBase(part)
		if err != nil {
			return nil, err
		}
		bases = append(bases, base)
	}
	if len(bases) == 0 {
		return nil, fmt.Errorf("API address %q names no node; write one such as 127.0.0.1:7070", text)
	}
	return bases, nil
}

func parseBase(text string) (string, error) {
	given := text
	if !strings.Contains(text, "://") {
		host, port, err := net.SplitHostPort(text)
		if err != nil {
			host, port = strings.Trim(text, "[]"), DefaultPort
		}
		text = "http://" + net.JoinHostPort(reachable(host), port)
	}
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return "", fmt.Errorf("API address %q is neither HOST:PORT nor a http:// or https:// URL", given)
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// reachable turns the address of a listener on all interfaces into one to
// connect to.
func reachable(host string) string {
	switch host {
	case "", "0.0.0.0":
		return "127.0.0.1"
	case "::":
		return "::1"
	}
	return host
}
