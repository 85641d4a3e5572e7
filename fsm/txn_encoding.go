package fsm

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"fmt"
	"io"
)

const (
	// packFrom is the size in bytes from which steps are deflated in the encoding:
	// a file of thousands of objects says much the same again and again.
	packFrom = 16 << 10
	// maxUnpacked bounds what deflated steps may come to: each replica reads them
	// before it applies what comes behind.
	maxUnpacked = 16 << 20
	// maxStepBytes bounds the encoding of one step. What is larger could be written
	// deflated, but neither restored, since a part of a restore is a command of 1 MiB
	// and is not, nor read back from a snapshot, see maxLine.
	maxStepBytes = 1020 << 10
)

// wireTxn is the encoding of a [Txn]: its steps as they are, or their JSON
// deflated (RFC 1951).
type wireTxn struct {
	Steps  json.RawMessage `json:"steps,omitempty"`
	Packed []byte          `json:"packed,omitempty"`
}

// MarshalJSON implements [json.Marshaler]. Its error is an [*Error] of [CodeTooLarge]
// for what could not be read again.
func (t Txn) MarshalJSON() ([]byte, error) {
	steps, err := t.encodeSteps()
	if err != nil {
		return nil, err
	}
	if len(steps) < packFrom {
		return json.Marshal(wireTxn{Steps: steps})
	}
	return pack(steps)
}

// pack is the encoding of steps deflated.
func pack(steps []byte) ([]byte, error) {
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestSpeed)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(steps); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return json.Marshal(wireTxn{Packed: packed.Bytes()})
}

// encodeSteps returns the steps as a JSON array, nil for none.
func (t Txn) encodeSteps() ([]byte, error) {
	if len(t.Steps) == 0 {
		return nil, nil
	}
	var tooLarge faults
	steps, size := []byte{'['}, 0
	for n, step := range t.Steps {
		data, err := json.Marshal(step)
		if err != nil {
			return nil, err
		}
		if len(data) > maxStepBytes {
			tooLarge.add(stepPointer(n), "%s has %d bytes when encoded, at most %d are taken: shorten its texts", step.Ref(), len(data), maxStepBytes)
		}
		if size += len(data) + 1; size < maxUnpacked {
			steps = append(append(steps, data...), ',')
		}
	}
	if size+1 > maxUnpacked {
		tooLarge.add("/steps", "have %d bytes when encoded, at most %d are taken: split the transaction", size+1, maxUnpacked)
	}
	if err := tooLarge.err(); err != nil {
		err.Code = CodeTooLarge
		return nil, err
	}
	steps[len(steps)-1] = ']'
	return steps, nil
}

// UnmarshalJSON implements [json.Unmarshaler].
func (t *Txn) UnmarshalJSON(data []byte) error {
	var w wireTxn
	if err := decodeStrict(data, &w); err != nil {
		return err
	}
	if w.Packed == nil {
		if t.Steps = nil; w.Steps == nil {
			return nil
		}
		return decodeStrict(w.Steps, &t.Steps)
	}
	if w.Steps != nil {
		return fmt.Errorf("a transaction has its steps either packed or not")
	}
	steps, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(w.Packed)), maxUnpacked+1))
	if err != nil {
		return fmt.Errorf("unpack steps: %w", err)
	}
	if len(steps) > maxUnpacked {
		return fmt.Errorf("unpack steps: they have more than %d bytes", maxUnpacked)
	}
	return decodeStrict(steps, &t.Steps)
}
