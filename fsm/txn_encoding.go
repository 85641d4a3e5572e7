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
	// maxUnpacked bounds what deflated steps may come to.
	maxUnpacked = 64 << 20
)

// wireTxn is the encoding of a [Txn]: its steps as they are, or their JSON
// deflated (RFC 1951).
type wireTxn struct {
	Steps  []Step `json:"steps,omitempty"`
	Packed []byte `json:"packed,omitempty"`
}

// MarshalJSON implements [json.Marshaler].
func (t Txn) MarshalJSON() ([]byte, error) {
	steps, err := json.Marshal(t.Steps)
	if err != nil {
		return nil, err
	}
	if len(steps) < packFrom {
		return json.Marshal(wireTxn{Steps: t.Steps})
	}
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

// UnmarshalJSON implements [json.Unmarshaler].
func (t *Txn) UnmarshalJSON(data []byte) error {
	var w wireTxn
	if err := decodeStrict(data, &w); err != nil {
		return err
	}
	if w.Packed == nil {
		t.Steps = w.Steps
		return nil
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
