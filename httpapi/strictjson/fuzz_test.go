package strictjson_test

import (
	"bytes"
	"encoding/json"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"evenkeel/fsm"
	"evenkeel/httpapi/strictjson"
)

// plain types have the fields of the registry's and not their defaults, which
// encoding/json does not know of.
type (
	plainCheck fsm.Check
	plainPool  fsm.WeightedPool
	plain      struct {
		Name   *string           `json:"name"`
		Labels map[string]string `json:"labels"`
		Weight int               `json:"weight"`
		Small  int8              `json:"small"`
		Count  uint16            `json:"count"`
		Share  float32           `json:"share"`
		Flag   bool              `json:"flag"`
		Span   fsm.Duration      `json:"span"`
		Match  fsm.RouteMatch    `json:"match"`
		Pools  []plainPool       `json:"pools"`
		Check  *plainCheck       `json:"check"`
		State  fsm.AdminState    `json:"state"`
	}
)

// FuzzWhatIsAcceptedIsWhatEncodingJSONReads holds every document to two
// properties: reading it never panics, and what is read without a fault
// encoding/json reads to the same value.
func FuzzWhatIsAcceptedIsWhatEncodingJSONReads(f *testing.F) {
	for _, seed := range []string{
		`{}`, `[]`, `null`, `""`, `{"name":"a","labels":{"a":"b"},"weight":-0,"small":127,"count":1,"share":1.5e3,"flag":true}`,
		`{"span":"1.5s","match":{"host":"x"},"pools":[{"name":"p","weight":3},{}],"check":{"type":"http","interval":"2s","rise":1}}`,
		`{"check":null,"pools":null,"labels":null,"name":null}`, `{"name":"\ud800"}`, `{"weight":1.0}`, `{"a":1,"a":2}`,
		"{\"name\":\"\xff\"}", `{"state":"drain"} `, `{"weight":99999999999999999999}`, `{"NAME":"a"}`, `{"":{}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		value, faults := strictjson.Parse(text)
		if value == nil {
			if len(faults) == 0 {
				t.Fatal("neither a value nor a fault")
			}
			return
		}
		var got, want plain
		faults = append(faults, value.Decode(&got, "")...)
		if len(faults) > 2*(strictjson.MaxFaults+1) {
			t.Fatalf("%d faults", len(faults))
		}
		if len(faults) > 0 {
			return
		}
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&want); err != nil {
			t.Fatalf("encoding/json refuses what was accepted: %v", err)
		}
		if _, err := decoder.Token(); err != io.EOF {
			t.Fatalf("there is more behind the document: %v", err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateNaNs()); diff != "" {
			t.Error("(-encoding/json +strictjson):\n" + diff)
		}
	})
}
