package httpapi

import (
	"strings"
	"unicode/utf8"
)

// room is what an answer has left for entries, in bytes of JSON, and how many
// entries found none.
type room struct {
	bytes, leftOff int
}

// entry is one of a list of a [LocalHealth].
type entry[T any] interface {
	// clipped returns it with its free texts cut, and how many bytes of JSON that
	// has at most.
	clipped() (T, int)
}

// fitting returns the first entries that are asked for and find room.
func fitting[T entry[T]](r *room, all []T, asked func(T) bool) []T {
	var kept []T
	for _, one := range all {
		if !asked(one) {
			continue
		}
		one, size := one.clipped()
		if len(kept) >= maxLocal || size > r.bytes {
			r.leftOff++
			continue
		}
		r.bytes -= size
		kept = append(kept, one)
	}
	return kept
}

// The members' names and what is around them, and a number at its longest.
const (
	opinionFrame  = len(`{"pool":,"name":,"uid":,"health":,"run":-,"evidence":true,"age_seconds":,"latency_seconds":},`)
	useFrame      = len(`{"uid":,"use":},`)
	vetoFrame     = len(`{"uid":,"health":,"age_seconds":},`)
	ejectionFrame = len(`{"pool":,"name":,"uid":,"reason":,"age_seconds":,"left_seconds":},`)
	longNumber    = 24
)

func (o Opinion) clipped() (Opinion, int) {
	o.Error, o.Void, o.LastError, o.WeightError = clip(o.Error), clip(o.Void), clip(o.LastError), clip(o.WeightError)
	size := opinionFrame + jsonSize(o.Pool, o.Name, o.UID, string(o.Health)) + 3*longNumber
	return o, size + optionalSize("error", o.Error) + optionalSize("void", o.Void) + optionalSize("last_error", o.LastError) +
		optionalSize("weight_error", o.WeightError)
}

func (u Use) clipped() (Use, int) {
	return u, useFrame + jsonSize(u.UID, u.Use)
}

func (v Veto) clipped() (Veto, int) {
	v.Reason = clip(v.Reason)
	return v, vetoFrame + jsonSize(v.UID, string(v.Health)) + longNumber + optionalSize("reason", v.Reason)
}

func (e Ejection) clipped() (Ejection, int) {
	e.Reason = clip(e.Reason)
	return e, ejectionFrame + jsonSize(e.Pool, e.Name, e.UID, e.Reason) + 2*longNumber
}

// optionalSize is the size of a member that is left out if it is empty.
func optionalSize(name, text string) int {
	if text == "" {
		return 0
	}
	return len(`"":,`) + len(name) + jsonSize(text)
}

// jsonSize returns how many bytes the texts have at most as JSON, where
// [encoding/json] writes some characters as six.
func jsonSize(texts ...string) int {
	size := 0
	for _, text := range texts {
		size += len(`""`)
		for _, r := range text {
			switch {
			case r < ' ', r == utf8.RuneError, strings.ContainsRune("\"\\<>&\u2028\u2029", r):
				size += len(`\u0000`)
			default:
				size += utf8.RuneLen(r)
			}
		}
	}
	return size
}
