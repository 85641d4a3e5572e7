package config

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"evenkeel/fsm"
)

// checkLabel refuses what is not a DNS label (RFC 1123, section 2.1) in lower
// case.
func checkLabel(text string) error {
	if !fsm.IsLabel(text) {
		return errors.New("is not a DNS label; use up to 63 of a-z, 0-9 and - (not at either end)")
	}
	return nil
}

func isLabelByte(c byte) bool {
	return c == '-' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z'
}

// labelOf makes a DNS label of a host's name: its first part, in lower case,
// with a dash for whatever a label may not hold.
func labelOf(hostname string) string {
	first, _, _ := strings.Cut(strings.ToLower(hostname), ".")
	label := strings.Map(func(r rune) rune {
		if r < 128 && isLabelByte(byte(r)) {
			return r
		}
		return '-'
	}, first)
	label = strings.Trim(label, "-")
	label = strings.TrimRight(label[:min(len(label), 63)], "-")
	if label == "" {
		return "node"
	}
	return label
}

// hostPort checks an address to listen on. The host may be empty and the port
// 0.
func hostPort(text string) (string, error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return text, errors.New("is not HOST:PORT; write one such as 127.0.0.1:7070, [::1]:7070 or :7070")
	}
	if host != "" && !isHost(host) {
		return text, errors.New("has a host that is neither an IP address nor a host name")
	}
	return text, portFault(port)
}

func portFault(port string) error {
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return errors.New("has a port that is not a number from 0 to 65535")
	}
	return nil
}

// isHost tells whether text is an IP address, with or without the brackets of
// IPv6, or has the form of a host name.
func isHost(text string) bool {
	if _, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")); err == nil {
		return true
	}
	name := strings.TrimSuffix(text, ".")
	if name == "" || len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		// Docker and Windows allow the underscore, so do we.
		if checkLabel(strings.ReplaceAll(strings.ToLower(label), "_", "0")) != nil {
			return false
		}
	}
	return true
}

// isLoopback tells whether an address to listen on is reached from this
// machine only.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

func oneOf(text string, known ...string) error {
	if slices.Contains(known, text) {
		return nil
	}
	return errors.New("is none of " + strings.Join(known, ", "))
}

// closest returns the known name that text is most likely a slip of, or "".
func closest(text string, known []string) string {
	best, bestDistance := "", 3
	for _, name := range known {
		if d := distance(text, name); d < bestDistance {
			best, bestDistance = name, d
		}
	}
	return best
}

// distance is Levenshtein's: how many bytes must be added, removed or changed.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
