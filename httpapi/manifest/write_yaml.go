package manifest

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	"evenkeel/httpapi/strictjson"
	"evenkeel/httpapi/strictyaml"
)

// WriteYAML writes a document of JSON as one of YAML, in block style, with the
// fields in their order and numbers as they are written. Every reader of YAML
// takes each text for that text, and none of it drives a terminal: what cannot
// be seen is an escape. Its errors are those of w, and that the document is no
// JSON or has a field twice.
func WriteYAML(w io.Writer, document []byte) error {
	value, faults := strictjson.ParseUpTo(document, math.MaxInt)
	if len(faults) > 0 {
		return fmt.Errorf("write YAML: %s: %s", faults[0].Pointer, faults[0].Message)
	}
	out := bufio.NewWriter(w)
	writeYAML(out, value)
	out.WriteByte('\n')
	return out.Flush()
}

// writeYAML writes a document of YAML in block style, without the end of its
// last line.
func writeYAML(out *bufio.Writer, v *strictjson.Value) {
	y := yamlWriter{out: out}
	y.value(v, 0)
}

type yamlWriter struct {
	out *bufio.Writer
	// begun is set once something was written.
	begun bool
}

// newLine begins a line, unless nothing was written yet.
func (y *yamlWriter) newLine(indent int) {
	if y.begun {
		y.out.WriteByte('\n')
	}
	y.begun = true
	y.out.WriteString(strings.Repeat(" ", indent))
}

// value writes a value that begins on a new line, or a scalar.
func (y *yamlWriter) value(v *strictjson.Value, indent int) {
	switch {
	case len(v.Members) > 0:
		for _, member := range v.Members {
			y.newLine(indent)
			y.member(member, indent)
		}
	case len(v.Elements) > 0:
		for _, element := range v.Elements {
			y.newLine(indent)
			y.element(element, indent)
		}
	default:
		y.begun = true
		y.scalar(v, indent)
	}
}

// member writes "name: value".
func (y *yamlWriter) member(member strictjson.Member, indent int) {
	y.out.WriteString(inline(member.Name) + ":")
	if len(member.Value.Members)+len(member.Value.Elements) == 0 {
		y.out.WriteByte(' ')
		y.scalar(member.Value, indent+2)
		return
	}
	y.value(member.Value, indent+2)
}

// element writes "- value", with the first field of an object on the same line.
func (y *yamlWriter) element(v *strictjson.Value, indent int) {
	y.out.WriteString("-")
	switch {
	case len(v.Elements) > 0:
		y.value(v, indent+2)
	case len(v.Members) > 0:
		for i, member := range v.Members {
			if i == 0 {
				y.out.WriteByte(' ')
			} else {
				y.newLine(indent + 2)
			}
			y.member(member, indent+2)
		}
	default:
		y.out.WriteByte(' ')
		y.scalar(v, indent+2)
	}
}

// scalar writes a scalar, or an empty collection, on the line that is begun. The
// lines of a long text are indented.
func (y *yamlWriter) scalar(v *strictjson.Value, indent int) {
	switch v.Kind {
	case strictjson.Null:
		y.out.WriteString("null")
	case strictjson.Array:
		y.out.WriteString("[]")
	case strictjson.Object:
		y.out.WriteString("{}")
	case strictjson.String:
		if !isLiteral(v.Text) {
			y.out.WriteString(inline(v.Text))
			return
		}
		y.literal(v.Text, indent)
	default:
		y.out.WriteString(v.Text)
	}
}

func (y *yamlWriter) literal(text string, indent int) {
	body, ended := strings.CutSuffix(text, "\n")
	y.out.WriteByte('|')
	if !ended {
		y.out.WriteByte('-')
	}
	for line := range strings.SplitSeq(body, "\n") {
		y.out.WriteByte('\n')
		if line != "" {
			y.out.WriteString(strings.Repeat(" ", indent) + line)
		}
	}
}

// isLiteral tells whether a text of several lines stands for itself as such: not
// with white space at the ends of lines, nor at its beginning, nor with what
// cannot be seen.
func isLiteral(text string) bool {
	body := strings.TrimSuffix(text, "\n")
	if !strings.Contains(body, "\n") || strings.HasSuffix(body, "\n") || strings.IndexByte(" \t\n", body[0]) >= 0 {
		return false
	}
	for line := range strings.SplitSeq(body, "\n") {
		if strings.TrimRight(line, " \t") != line {
			return false
		}
	}
	return !strings.ContainsFunc(body, func(r rune) bool { return r != '\n' && r != '\t' && isHidden(r) })
}

// isHidden tells of what is written as an escape: controls, ends of lines of
// old, marks of order and direction, what UTF-8 could not hold, and all else
// that is not seen.
func isHidden(r rune) bool {
	return r < ' ' || r >= 0x7f && r <= 0xa0 || r == 0xad || r >= 0x200b && r <= 0x200f || r >= 0x2028 && r <= 0x202e ||
		r >= 0x2060 && r <= 0x206f || r == 0xfeff || r >= 0xfff9 && r <= 0xffff || r >= 0xe0000 || !unicode.IsPrint(r)
}

// inline returns a text on one line, in quotes where it needs them.
func inline(text string) string {
	if strictyaml.IsPlain(text) {
		return text
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case r < 0x100 && isHidden(r):
			fmt.Fprintf(&b, `\x%02x`, r)
		case r < 0x10000 && isHidden(r) && r != utf8.RuneError:
			fmt.Fprintf(&b, `\u%04x`, r)
		case isHidden(r) && r != utf8.RuneError:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
