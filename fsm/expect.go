package fsm

import (
	"fmt"
	"strconv"
	"strings"
)

// DefaultExpect is what a passing HTTP check answers if its Expect is empty.
const DefaultExpect = "200-399"

// StatusRange is a range of HTTP status codes, both ends included.
type StatusRange struct{ Low, High int }

// StatusSet is a set of HTTP status codes.
type StatusSet []StatusRange

// Has reports whether the set holds the code.
func (s StatusSet) Has(code int) bool {
	for _, r := range s {
		if r.Low <= code && code <= r.High {
			return true
		}
	}
	return false
}

// ParseExpect reads codes and ranges from 100 to 599 such as "200-299,304";
// "" stands for [DefaultExpect]. At most 32 items are taken.
func ParseExpect(text string) (StatusSet, error) {
	if text == "" {
		text = DefaultExpect
	}
	items := strings.Split(text, ",")
	if len(items) > 32 {
		return nil, fmt.Errorf("has %d items, at most 32 are taken", len(items))
	}
	var set StatusSet
	for _, item := range items {
		low, high, isRange := strings.Cut(strings.TrimSpace(item), "-")
		if !isRange {
			high = low
		}
		r := StatusRange{statusCode(low), statusCode(high)}
		if r.Low == 0 || r.High < r.Low {
			return nil, fmt.Errorf("%q: item %q is neither a status code from 100 to 599 nor a range such as 200-299", text, item)
		}
		set = append(set, r)
	}
	return set, nil
}

// statusCode returns 0 for what is not a status code.
func statusCode(text string) int {
	code, err := strconv.Atoi(text)
	if err != nil || len(text) != 3 || code < 100 || code > 599 {
		return 0
	}
	return code
}
