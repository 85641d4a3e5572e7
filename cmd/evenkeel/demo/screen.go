package demo

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// screen shows pictures: as a table that is drawn over the former one on a
// terminal, else as lines.
type screen struct {
	out      io.Writer
	terminal *os.File // nil if it is none
	drawn    int      // lines of the table that stands
	health   string   // the last that was printed as a line
}

func newScreen(out io.Writer) *screen {
	s := &screen{out: out}
	if file, ok := out.(*os.File); ok && os.Getenv("TERM") != "dumb" {
		if _, _, isTerminal := terminalSize(file); isTerminal {
			s.terminal = file
		}
	}
	return s
}

func (s *screen) interval() time.Duration {
	if s.terminal != nil {
		return time.Second
	}
	return 2 * time.Second
}

func (s *screen) show(p *picture) error {
	if s.terminal != nil {
		return s.draw(p)
	}
	return s.print(p)
}

// print writes one line per event and node, and one when health changed.
func (s *screen) print(p *picture) error {
	var b strings.Builder
	for _, event := range p.events {
		fmt.Fprintf(&b, "* %s %s\n", p.at.Format(time.TimeOnly), event)
	}
	for _, n := range p.nodes {
		fmt.Fprintf(&b, "%s %-9s  %s  %s\n", n.name, n.role, n.distribution(), n.totals())
	}
	var health []string
	for _, backend := range p.backends {
		health = append(health, backend.name+" "+backend.health)
	}
	if line := strings.Join(health, ", "); line != s.health {
		s.health = line
		fmt.Fprintf(&b, "backends: %s\n", line)
	}
	_, err := io.WriteString(s.out, b.String())
	return err
}

// draw replaces the table that stands. Events scroll away above it.
func (s *screen) draw(p *picture) error {
	columns, rows, _ := terminalSize(s.terminal)
	var b strings.Builder
	if s.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\x1b[J", s.drawn)
	}
	for _, event := range p.events {
		fmt.Fprintf(&b, "* %s %s\n", p.at.Format(time.TimeOnly), event)
	}
	lines := s.table(p)
	if rows > 1 && len(lines) > rows-1 {
		lines = lines[:rows-1] // what scrolled off could not be replaced
	}
	for _, line := range lines {
		b.WriteString(cut(line, columns) + "\n")
	}
	s.drawn = len(lines)
	_, err := io.WriteString(s.out, b.String())
	return err
}

func (s *screen) table(p *picture) []string {
	lines := []string{fmt.Sprintf("%-5s %-8s %-10s %-36s %s", "NODE", "PID", "ROLE", "ANSWERS OF THE LAST SECOND", "SO FAR")}
	for _, n := range p.nodes {
		lines = append(lines, fmt.Sprintf("%-5s %-8s %-10s %-36s %s", n.name, pid(n.pid), n.role, n.distribution(), n.totals()))
	}
	lines = append(lines, "", fmt.Sprintf("%-12s %-8s %-10s %s", "BACKEND", "PID", "HEALTH", "ADDRESS"))
	for _, b := range p.backends {
		lines = append(lines, fmt.Sprintf("%-12s %-8s %-10s %s", b.name, pid(b.pid), b.health, b.address))
	}
	return lines
}

func pid(n int) string {
	if n == 0 {
		return "-"
	}
	return strconv.Itoa(n)
}

// distribution says who answered how often, such as "web1 3  web2 4".
func (t tally) distribution() string {
	var parts []string
	for name, count := range t.answers {
		parts = append(parts, fmt.Sprintf("%s %d", printable(name), count))
	}
	slices.Sort(parts)
	if len(parts) == 0 {
		return "no answers"
	}
	return strings.Join(parts, "  ")
}

func (t tally) totals() string {
	text := fmt.Sprintf("%d requests, %d failed", t.total, t.failed)
	if t.failure != "" {
		text += ": " + printable(t.failure)
	}
	return text
}

// printable keeps an answer's bytes from driving the terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == utf8.RuneError || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, text)
}

// cut shortens a line to the width of the terminal, because a wrapped line
// would be two to draw over.
func cut(line string, columns int) string {
	runes := []rune(line)
	if columns <= 0 || len(runes) <= columns {
		return line
	}
	return string(runes[:columns])
}
