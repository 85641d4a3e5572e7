package strictjson

import (
	"errors"
	"reflect"
	"strconv"
	"strings"
)

func (d *decoder) scalar(v *Value, target reflect.Value, at string) {
	switch {
	case target.Kind() == reflect.String:
		if v.Kind != String {
			d.mismatch(v, "a string", at)
			return
		}
		target.SetString(v.Text)
	case target.Kind() == reflect.Bool:
		if v.Kind != Bool {
			d.mismatch(v, "a boolean", at)
			return
		}
		target.SetBool(v.Text == "true")
	case target.CanInt():
		d.signed(v, target, at)
	case target.CanUint():
		d.unsigned(v, target, at)
	case target.CanFloat():
		d.float(v, target, at)
	default:
		d.faults.add(at, "a value of type %s cannot be read from JSON", target.Type())
	}
}

// whole reports whether v is a number without fraction and exponent, the only
// form that every JSON library reads to the same integer.
func (d *decoder) whole(v *Value, at string) bool {
	if v.Kind != Number {
		d.mismatch(v, "a whole number", at)
		return false
	}
	if strings.ContainsAny(v.Text, ".eE") {
		d.faults.add(at, "%s is not a whole number: write it without fraction and exponent", clip(v.Text, 80))
		return false
	}
	return true
}

func (d *decoder) signed(v *Value, target reflect.Value, at string) {
	if !d.whole(v, at) {
		return
	}
	bits := target.Type().Bits()
	number, err := strconv.ParseInt(v.Text, 10, bits)
	if errors.Is(err, strconv.ErrRange) {
		high := uint64(1)<<(bits-1) - 1
		d.faults.add(at, "%s is out of range, must be from -%d to %d", clip(v.Text, 80), high+1, high)
		return
	}
	target.SetInt(number)
}

func (d *decoder) unsigned(v *Value, target reflect.Value, at string) {
	if !d.whole(v, at) {
		return
	}
	bits := target.Type().Bits()
	number, err := strconv.ParseUint(v.Text, 10, bits)
	if err != nil { // out of range, or negative
		d.faults.add(at, "%s is out of range, must be from 0 to %d", clip(v.Text, 80), ^uint64(0)>>(64-bits))
		return
	}
	target.SetUint(number)
}

func (d *decoder) float(v *Value, target reflect.Value, at string) {
	if v.Kind != Number {
		d.mismatch(v, "a number", at)
		return
	}
	number, err := strconv.ParseFloat(v.Text, target.Type().Bits())
	if err != nil {
		d.faults.add(at, "%s is out of range", clip(v.Text, 80))
		return
	}
	target.SetFloat(number)
}
