package fsm

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// pages is a route whose encoding is many times what its texts have.
func pages(name string) Put {
	spec := RouteSpec{Listeners: []string{"default"}, Respond: &Respond{Status: 200, Body: strings.Repeat("<", maxBody), ContentType: "text/html"}}
	for i := range maxErrorPages {
		spec.ErrorPages = append(spec.ErrorPages, ErrorPage{Status: 500 + i, Body: strings.Repeat("<", maxBody), ContentType: "text/html"})
	}
	for i := range maxEdits {
		spec.ResponseFields = append(spec.ResponseFields, FieldEdit{Op: EditSet, Name: fmt.Sprintf("x-%d", i), Value: strings.Repeat("<", maxFieldValue)})
	}
	return Put{Name: name, Spec: spec}
}

// An object that one line of a snapshot, or a part of a restore, does not hold
// would be lost with the next restart.
func TestATransactionTakesNoLargerObjectThanACommandByItself(t *testing.T) {
	large := txn(put(backend("a", "10.0.0.1:80")), put(pages("r")))
	if err := Validate(large); err != nil {
		t.Fatal(err)
	}
	data, err := EncodeCommand(Command{Op: large})
	var refusal *Error
	if !errors.As(err, &refusal) || refusal.Code != CodeTooLarge || len(refusal.Faults) != 1 || refusal.Faults[0].Pointer != "/steps/1" {
		t.Errorf("%d bytes, error %v", len(data), err)
	}
}

// A log with an entry that no replica can read would end all of them.
func TestWhatIsEncodedOfATransactionCanBeRead(t *testing.T) {
	for _, count := range []int{20, 30} {
		var steps []Step
		for i := range count {
			spec := pages("").Spec.(RouteSpec)
			spec.ErrorPages, spec.ResponseFields = spec.ErrorPages[:1], nil
			steps = append(steps, put(Put{Name: fmt.Sprintf("r%d", i), Spec: spec}))
		}
		op := Txn{Steps: steps}
		if err := Validate(op); err != nil {
			t.Fatal(err)
		}
		data, err := EncodeCommand(Command{ID: CommandID{"o", 1}, Op: op})
		var refusal *Error
		switch {
		case err == nil:
			if _, err := DecodeCommand(data); err != nil {
				t.Errorf("%d steps, %d bytes: %v", count, len(data), err)
			}
		case !errors.As(err, &refusal) || refusal.Code != CodeTooLarge || count < 30:
			t.Errorf("%d steps: %v", count, err)
		}
	}
}
