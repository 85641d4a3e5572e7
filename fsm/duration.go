package fsm

import (
	"encoding/json"
	"fmt"
	"time"
)

// Duration is a time span that reads and writes as a string such as "1.5s"
// (the syntax of [time.ParseDuration]). A bare number is refused, because its
// unit would be a guess.
type Duration time.Duration

// String returns the span in the syntax of [time.ParseDuration].
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText implements [encoding.TextMarshaler].
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (d *Duration) UnmarshalText(text []byte) error {
	span, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("duration %q: not a time span, write one such as \"2s\" or \"150ms\"", text)
	}
	*d = Duration(span)
	return nil
}

// UnmarshalJSON accepts only a JSON string.
func (d *Duration) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return fmt.Errorf("duration %s: must be a string such as \"2s\"", data)
	}
	return d.UnmarshalText([]byte(text))
}
