package strictjson

import (
	"reflect"

	"evenkeel/fsm"
)

// Merge returns what a merge patch (RFC 7396) makes of target, which is nil for
// none. Neither is changed; the result shares parts of both. Members that stay keep
// their order, new ones come behind them in the order of the patch.
func Merge(target, patch *Value) *Value {
	if patch.Kind != Object {
		return patch
	}
	merged := &Value{Kind: Object}
	changes := make(map[string]*Value, len(patch.Members))
	for _, m := range patch.Members {
		changes[m.Name] = m.Value
	}
	stood := map[string]bool{}
	if target != nil && target.Kind == Object {
		for _, m := range target.Members {
			stood[m.Name] = true
			change, changed := changes[m.Name]
			switch {
			case !changed:
				merged.Members = append(merged.Members, m)
			case change.Kind != Null:
				merged.Members = append(merged.Members, Member{Name: m.Name, Value: Merge(m.Value, change)})
			}
		}
	}
	for _, m := range patch.Members {
		if !stood[m.Name] && m.Value.Kind != Null {
			merged.Members = append(merged.Members, Member{Name: m.Name, Value: Merge(nil, m.Value)})
		}
	}
	return merged
}

// DecodePatch is [Value.DecodeFields] of a merge patch: null is no value in it but
// takes a field away, whatever that is.
func (v *Value) DecodePatch(fields Fields, at string) []fsm.Fault {
	d := decoder{removes: true}
	if v.Kind != Object {
		d.mismatch(v, "an object", at)
		return d.faults.list
	}
	d.members(v, fields, at)
	return d.faults.list
}

// removal tells whether a value of a patch only takes the field away.
func (d *decoder) removal(v *Value, target reflect.Value) bool {
	if !d.removes || v.Kind != Null {
		return false
	}
	target.SetZero()
	return true
}
