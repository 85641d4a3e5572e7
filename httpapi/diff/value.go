package diff

import (
	"bytes"
	"encoding/json"
	"strconv"

	"evenkeel/fsm"
)

// marshal returns what encoding/json makes of a part of an object. Nothing that
// the registry holds fails at that.
func marshal(value any) json.RawMessage {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // a document is read by people
	if err := encoder.Encode(value); err != nil {
		return nil
	}
	return bytes.TrimSuffix(text.Bytes(), []byte("\n"))
}

// member is one field of an object of JSON.
type member struct {
	name  string
	value json.RawMessage
}

// members returns the fields of an object that marshal made, in their order.
func members(object json.RawMessage) []member {
	decoder := json.NewDecoder(bytes.NewReader(object))
	if _, err := decoder.Token(); err != nil {
		return nil
	}
	var list []member
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return list
		}
		name, _ := token.(string)
		m := member{name: name}
		if err := decoder.Decode(&m.value); err != nil {
			return list
		}
		list = append(list, m)
	}
	return list
}

// elements returns the items of a list that marshal made.
func elements(list json.RawMessage) []json.RawMessage {
	var items []json.RawMessage
	if err := json.Unmarshal(list, &items); err != nil {
		return nil
	}
	return items
}

func itoa(n int) string { return strconv.Itoa(n) }

// Planned returns the object that a put would leave, as far as it is known
// before it is made: without status and meta.
func Planned(p fsm.Put) fsm.AnyObject {
	switch spec := p.Spec.(type) {
	case fsm.ListenerSpec:
		return &fsm.Listener{Name: p.Name, Labels: p.Labels, Spec: spec}
	case fsm.RouteSpec:
		return &fsm.Route{Name: p.Name, Labels: p.Labels, Spec: spec}
	case fsm.PoolSpec:
		return &fsm.Pool{Name: p.Name, Labels: p.Labels, Spec: spec}
	case fsm.BackendSpec:
		return &fsm.Backend{Pool: p.Pool, Name: p.Name, Labels: p.Labels, Spec: spec}
	case fsm.CertificateSpec:
		return &fsm.Certificate{Name: p.Name, Labels: p.Labels, Spec: spec}
	case fsm.TokenSpec:
		return &fsm.Token{Name: p.Name, Labels: p.Labels, Spec: spec}
	}
	return nil
}
