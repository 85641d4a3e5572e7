package strictyaml

import (
	"bytes"
	"unicode/utf8"
)

// cursor turns lines and columns into offsets. Nodes are asked for in the order
// of the text, so that all of it is passed over once.
type cursor struct {
	data          []byte
	begin         int // of the first line
	line, column  int // from 1, in characters
	offset, start int // of the place and of its line
}

func newCursor(data []byte, begin int) cursor {
	return cursor{data: data, begin: begin, line: 1, column: 1, offset: begin, start: begin}
}

// at returns the offset of a place, or of what is nearest before it.
func (c *cursor) at(line, column int) int {
	switch {
	case line < c.line:
		*c = newCursor(c.data, c.begin)
	case line == c.line && column < c.column:
		c.offset, c.column = c.start, 1
	}
	for c.line < line {
		i := bytes.IndexByte(c.data[c.offset:], '\n')
		if i < 0 {
			return len(c.data)
		}
		c.offset += i + 1
		c.line, c.column, c.start = c.line+1, 1, c.offset
	}
	for c.column < column && c.offset < len(c.data) && c.data[c.offset] != '\n' {
		_, size := utf8.DecodeRune(c.data[c.offset:])
		c.offset += size
		c.column++
	}
	return c.offset
}
