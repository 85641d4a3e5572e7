package fsm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// codecVersion is the "v" of every command. A released encoding is never
// changed: what is new gets a new kind, or an optional field and a higher
// feature level.
const codecVersion = 1

// envelope is the encoding of a [Command].
type envelope struct {
	V       int             `json:"v"`
	ID      CommandID       `json:"id"`
	Time    time.Time       `json:"time"`
	Actor   string          `json:"actor,omitempty"`
	Reason  string          `json:"reason,omitempty"`
	Key     Key             `json:"key,omitzero"`
	Confirm Duration        `json:"confirm_within,omitempty"`
	Kind    string          `json:"kind"`
	Data    json.RawMessage `json:"data"`
}

// wirePut is the encoding of a [Put].
type wirePut struct {
	Kind   Kind              `json:"kind"`
	Pool   string            `json:"pool,omitempty"`
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels,omitempty"`
	Spec   json.RawMessage   `json:"spec"`
	If     *Precondition     `json:"if,omitempty"`
}

// wireDelete is the encoding of a [Delete].
type wireDelete struct {
	Kind Kind          `json:"kind"`
	Pool string        `json:"pool,omitempty"`
	Name string        `json:"name"`
	If   *Precondition `json:"if,omitempty"`
}

// EncodeCommand returns the command as JSON. The error wraps an [*Error] of
// [CodeTooLarge] if it is a transaction too large to be read again.
func EncodeCommand(c Command) ([]byte, error) {
	if c.Op == nil {
		return nil, errors.New("encode command: it has no operation")
	}
	if data, ok := appendPut(nil, &c); ok {
		return data, nil
	}
	data, err := json.Marshal(c.Op)
	if err != nil {
		return nil, fmt.Errorf("encode command %s: %w", c.Op.commandKind(), err)
	}
	return json.Marshal(envelope{
		V: codecVersion, ID: c.ID, Time: c.Time, Actor: c.Actor, Reason: c.Reason, Key: c.Key, Confirm: c.ConfirmWithin,
		Kind: c.Op.commandKind(), Data: data,
	})
}

// DecodeCommand is the inverse of [EncodeCommand]. It refuses every version,
// kind and field that this build does not know: a replica that cannot read a
// command to the last field must not guess what it does.
func DecodeCommand(data []byte) (Command, error) {
	if command, length := new(commandReader).read(data); length > 0 && length == len(data) {
		return command, nil
	}
	var e envelope
	if err := decodeStrict(data, &e); err != nil {
		return Command{}, fmt.Errorf("decode command: %w", err)
	}
	if e.V != codecVersion {
		return Command{}, fmt.Errorf("decode command: its version is %d, this build reads %d: run a newer build", e.V, codecVersion)
	}
	if year := e.Time.UTC().Year(); year < 0 || year > 9999 {
		// With a time zone such a time can be read, but in UTC, as the state
		// holds it, it could not be written again (RFC 3339, section 1).
		return Command{}, fmt.Errorf("decode command: its time %s is not of a year from 0 to 9999", e.Time)
	}
	op, err := decodeOperation(e.Kind, e.Data)
	if err != nil {
		return Command{}, fmt.Errorf("decode command %q: %w", e.Kind, err)
	}
	return Command{ID: e.ID, Time: e.Time, Actor: e.Actor, Reason: e.Reason, Key: e.Key, ConfirmWithin: e.Confirm, Op: op}, nil
}

func decodeOperation(kind string, data []byte) (Operation, error) {
	switch kind {
	case Init{}.commandKind():
		return decodeInit(data)
	case Put{}.commandKind():
		return decodeAs[Put](data)
	case Delete{}.commandKind():
		return decodeAs[Delete](data)
	case CastVotes{}.commandKind():
		return decodeAs[CastVotes](data)
	case SetNode{}.commandKind():
		return decodeAs[SetNode](data)
	case ForgetNode{}.commandKind():
		return decodeAs[ForgetNode](data)
	case RaiseLevel{}.commandKind():
		return decodeRaiseLevel(data)
	case RestorePart{}.commandKind():
		return decodeAs[RestorePart](data)
	case SetOverride{}.commandKind():
		return decodeAs[SetOverride](data)
	case Expire{}.commandKind():
		return decodeAs[Expire](data)
	case ReportIdle{}.commandKind():
		return decodeAs[ReportIdle](data)
	case Txn{}.commandKind():
		return decodeAs[Txn](data)
	case Confirm{}.commandKind():
		return decodeAs[Confirm](data)
	}
	return decodeNewest(kind, data)
}

var errKind = errors.New("the kind is not known: run a newer build")

func decodeAs[T Operation](data []byte) (Operation, error) {
	var op T
	if err := decodeStrict(data, &op); err != nil {
		return nil, err
	}
	return op, nil
}

// decodeInit and decodeRaiseLevel refuse a level that this build lacks here and
// not as an invalid command: the others apply it, so this replica must not go on
// without.
func decodeInit(data []byte) (Operation, error) {
	var op Init
	if err := decodeStrict(data, &op); err != nil {
		return nil, err
	}
	return op, checkReads(op.FeatureLevel)
}

func decodeRaiseLevel(data []byte) (Operation, error) {
	var op RaiseLevel
	if err := decodeStrict(data, &op); err != nil {
		return nil, err
	}
	return op, checkReads(op.Level)
}

func checkReads(level uint64) error {
	if level > FeatureLevel {
		return fmt.Errorf("the level is %d, this build reads up to %d: run a newer build", level, FeatureLevel)
	}
	return nil
}

// MarshalJSON implements [json.Marshaler].
func (p Put) MarshalJSON() ([]byte, error) {
	if p.Spec == nil {
		return nil, errors.New("a put needs a spec")
	}
	spec, err := json.Marshal(p.Spec)
	if err != nil {
		return nil, err
	}
	return json.Marshal(wirePut{Kind: p.Spec.Kind(), Pool: p.Pool, Name: p.Name, Labels: p.Labels, Spec: spec, If: p.If.wire()})
}

// UnmarshalJSON implements [json.Unmarshaler].
func (p *Put) UnmarshalJSON(data []byte) error {
	var w wirePut
	if err := decodeStrict(data, &w); err != nil {
		return err
	}
	spec, err := decodeSpec(w.Kind, w.Spec)
	if err != nil {
		return err
	}
	*p = Put{Pool: w.Pool, Name: w.Name, Labels: w.Labels, Spec: spec, If: w.If.value()}
	return nil
}

func decodeSpec(kind Kind, data []byte) (Spec, error) {
	switch kind {
	case KindListener:
		return decodeSpecAs[ListenerSpec](data)
	case KindRoute:
		return decodeSpecAs[RouteSpec](data)
	case KindPool:
		return decodeSpecAs[PoolSpec](data)
	case KindBackend:
		return decodeSpecAs[BackendSpec](data)
	case KindToken:
		return decodeSpecAs[TokenSpec](data)
	case KindCertificate:
		return decodeSpecAs[CertificateSpec](data)
	}
	return nil, fmt.Errorf("kind of object %q is not known: run a newer build", kind)
}

func decodeSpecAs[S Spec](data []byte) (Spec, error) {
	var spec S
	if err := decodeStrict(data, &spec); err != nil {
		return nil, fmt.Errorf("spec of a %s: %w", spec.Kind(), err)
	}
	return spec, nil
}

// MarshalJSON implements [json.Marshaler].
func (d Delete) MarshalJSON() ([]byte, error) {
	return json.Marshal(wireDelete{Kind: d.Kind, Pool: d.Pool, Name: d.Name, If: d.If.wire()})
}

// UnmarshalJSON implements [json.Unmarshaler].
func (d *Delete) UnmarshalJSON(data []byte) error {
	var w wireDelete
	if err := decodeStrict(data, &w); err != nil {
		return err
	}
	*d = Delete{Ref: Ref{Kind: w.Kind, Pool: w.Pool, Name: w.Name}, If: w.If.value()}
	return nil
}

func (p Precondition) wire() *Precondition {
	if p.IsZero() {
		return nil
	}
	return &p
}

func (p *Precondition) value() Precondition {
	if p == nil {
		return Precondition{}
	}
	return *p
}

// EncodeEntry joins encoded commands into one Raft entry.
func EncodeEntry(commands [][]byte) []byte {
	entry := []byte{'['}
	entry = append(entry, bytes.Join(commands, []byte{','})...)
	return append(entry, ']')
}

// DecodeEntry is the inverse of [EncodeEntry].
func DecodeEntry(data []byte) ([]Command, error) {
	if commands := readEntry(data); commands != nil {
		return commands, nil
	}
	var parts []json.RawMessage
	if err := decodeStrict(data, &parts); err != nil {
		return nil, fmt.Errorf("decode entry: %w", err)
	}
	commands := make([]Command, len(parts))
	for i, part := range parts {
		command, err := DecodeCommand(part)
		if err != nil {
			return nil, fmt.Errorf("decode entry: command %d of %d: %w", i+1, len(parts), err)
		}
		commands[i] = command
	}
	return commands, nil
}

// decodeStrict decodes the whole of data and refuses unknown fields.
func decodeStrict(data []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return errors.New("something follows the JSON value")
	}
	return nil
}
