package strictjson

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"evenkeel/fsm"
)

// Located is a fault, and where in the text it is, in bytes.
type Located struct {
	fsm.Fault
	Offset int
}

func located(offset int, message string) Located {
	return Located{fsm.Fault{Message: message}, offset}
}

// AddLocated appends a fault to the list, up to [MaxFaults] and one that says
// that there are more.
func AddLocated(list []Located, offset int, pointer, format string, args ...any) []Located {
	switch {
	case len(list) < MaxFaults:
		return append(list, Located{fsm.Fault{Pointer: pointer, Message: fmt.Sprintf(format, args...)}, offset})
	case len(list) == MaxFaults:
		return append(list, located(offset, fmt.Sprintf("there are more faults than the %d listed", MaxFaults)))
	}
	return list
}

// Locate returns where the place that a pointer names begins: a field at its
// name. Of what is not there it is the nearest place around it.
func (v *Value) Locate(pointer string) int {
	offset := v.Offset
	for token := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		next, at := v.child(unescape(token))
		if next == nil {
			break
		}
		v, offset = next, at
	}
	return offset
}

func (v *Value) child(token string) (*Value, int) {
	if i, err := strconv.Atoi(token); err == nil && i >= 0 && i < len(v.Elements) {
		return v.Elements[i], v.Elements[i].Offset
	}
	for _, member := range v.Members {
		if member.Name == token {
			return member.Value, member.Offset
		}
	}
	return nil, 0
}

func unescape(token string) string {
	if !strings.Contains(token, "~") {
		return token
	}
	return strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
}

// InvalidUTF8 returns the offset of the first byte that is not part of valid
// UTF-8, or the length of the data.
func InvalidUTF8(data []byte) int {
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return len(data)
}

// Position returns the line and column, both from 1 and in characters, of a
// byte offset.
func Position(data []byte, offset int) (line, column int) {
	before := data[:max(0, min(offset, len(data)))]
	line = 1 + bytes.Count(before, []byte("\n"))
	column = 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
	return line, column
}
