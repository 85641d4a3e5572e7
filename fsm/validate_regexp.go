package fsm

import (
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
)

// Bounds of regular expressions, part of the feature level. A short text such
// as "((a{30}){30})..." can compile to a program of gigabytes, so its size is
// reckoned first. What counts as valid is the syntax of Go's regexp package,
// which a test pins: when a new toolchain reads more or less than that, old
// and new builds of one cluster would disagree about a command.
const (
	maxRegexp      = 1024
	maxProgram     = 10_000
	maxReplacement = 1024
)

// checkRegexp reports what is not a regular expression of a bearable size, and
// returns what is, or nil. Empty is allowed.
func checkRegexp(f *faults, pointer, text string) *regexp.Regexp {
	if text == "" {
		return nil
	}
	if len(text) > maxRegexp {
		f.add(pointer, "has %d bytes, at most %d are taken", len(text), maxRegexp)
		return nil
	}
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		f.add(pointer, "%q is not a regular expression: %s; write it in RE2's syntax", clip(text), clip(err.Error()))
		return nil
	}
	if size := programSize(parsed); size > maxProgram {
		f.add(pointer, "%q stands for some %d steps, at most %d are taken: repeat less", clip(text), size, maxProgram)
		return nil
	}
	pattern, err := regexp.Compile(text)
	if err != nil {
		f.add(pointer, "%q is not a regular expression: %s; write it in RE2's syntax", clip(text), clip(err.Error()))
		return nil
	}
	return pattern
}

// programSize reckons how many instructions an expression compiles to. The
// parser bounds depth and repetition, so it neither overflows nor goes deep.
func programSize(re *syntax.Regexp) int {
	size := 1
	if re.Op == syntax.OpLiteral {
		size = len(re.Rune)
	}
	for _, sub := range re.Sub {
		size += programSize(sub)
	}
	if re.Op == syntax.OpRepeat {
		size *= max(1, re.Min, re.Max)
	}
	return size
}

// checkReplacement reports what cannot become part of a path, and references
// to groups that the pattern does not have: they would silently be empty, as
// "$1x" is, which names a group "1x".
func checkReplacement(f *faults, pointer, text string, pattern *regexp.Regexp) {
	if len(text) > maxReplacement {
		f.add(pointer, "has %d bytes, at most %d are taken", len(text), maxReplacement)
		return
	}
	if strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == '?' || c == '#' }) {
		f.add(pointer, "%q holds a space, a control character, ?, # or what is not ASCII: write it escaped as in a request", clip(text))
		return
	}
	if pattern == nil {
		return
	}
	for _, name := range references(text) {
		if !hasGroup(pattern, name) {
			f.add(pointer, "%q: $%s names no group of %q; write ${1}x for group 1 followed by x, and $$ for a dollar sign",
				clip(text), clip(name), clip(pattern.String()))
		}
	}
}

// references returns the names of groups that [regexp.Regexp.Expand] reads
// from a template: after a dollar sign, the longest run of letters, digits and
// underscores, or what stands in braces.
func references(template string) []string {
	var names []string
	for {
		_, rest, found := strings.Cut(template, "$")
		if !found {
			return names
		}
		if after, escaped := strings.CutPrefix(rest, "$"); escaped {
			template = after
			continue
		}
		name := ""
		if inner, braced := strings.CutPrefix(rest, "{"); braced {
			name, template, _ = strings.Cut(inner, "}")
		} else {
			end := strings.IndexFunc(rest, func(c rune) bool { return !isWordRune(c) })
			if end < 0 {
				end = len(rest)
			}
			name, template = rest[:end], rest[end:]
		}
		names = append(names, name)
	}
}

func isWordRune(c rune) bool {
	return c == '_' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

func hasGroup(pattern *regexp.Regexp, name string) bool {
	for i, group := range pattern.SubexpNames() {
		if group != "" && group == name || name == strconv.Itoa(i) {
			return true
		}
	}
	return false
}
