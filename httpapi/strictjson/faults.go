package strictjson

import (
	"fmt"
	"strings"

	"evenkeel/fsm"
)

// maxToken bounds what one field's name adds to a pointer, so that an answer
// about a document stays smaller than the document.
const maxToken = 128

// collector gathers faults up to [MaxFaults] and then says that it stopped.
type collector struct {
	list []fsm.Fault
}

func (c *collector) add(pointer, format string, args ...any) {
	switch {
	case len(c.list) < MaxFaults:
		c.list = append(c.list, fsm.Fault{Pointer: pointer, Message: fmt.Sprintf(format, args...)})
	case len(c.list) == MaxFaults:
		c.list = append(c.list, fsm.Fault{Message: fmt.Sprintf("there are more faults than the %d listed", MaxFaults)})
	}
}

func (c *collector) full() bool { return len(c.list) > MaxFaults }

// escape returns one token of a pointer.
func escape(token string) string { return fsm.EscapePointer(clip(token, maxToken)) }

// clip shortens what a message quotes.
func clip(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit-3], "") + "..."
}
