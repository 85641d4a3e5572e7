package fsm

import (
	"fmt"
	"slices"
)

// Bounds of the registry's keys, part of the feature level.
const (
	maxWraps      = 16
	maxWrapBytes  = 512
	maxKeyID      = 64
	maxTicketKeys = 3
)

// DataKey is the registry's own key, with which private keys are sealed at rest. No
// state holds it as it is: it is wrapped under each of the cluster's secrets, and
// package cluster knows how. It is immutable.
type DataKey struct {
	// ID tells this key from others, 1 to 64 printable characters. It says nothing
	// about the key.
	ID string `json:"id"`
	// Wraps are the key under each secret that a leader had: 1 to 16.
	Wraps []KeyWrap `json:"wraps"`
}

// KeyWrap is the data key under one secret.
type KeyWrap struct {
	// Secret tells secrets apart without saying anything about them, 1 to 64
	// printable characters.
	Secret string `json:"secret"`
	// Sealed is the key in base64, at most 512 bytes.
	Sealed string `json:"sealed"`
}

// SetDataKey gives the registry its key, or wraps the key that it has under other
// secrets. Only the leader proposes it. Where the registry has another key it is
// refused with [CodePrecondition]: what was sealed with that would be lost. It moves
// no revision.
type SetDataKey struct {
	Key DataKey `json:"key"`
}

// Ticket is a key of session tickets, which all nodes share.
type Ticket struct {
	// ID tells it from others, 1 to 64 printable characters.
	ID string `json:"id"`
	// Sealed is the key sealed with the [DataKey], in base64, at most 512 bytes.
	Sealed string `json:"sealed"`
}

// RotateTickets adds a key of session tickets; the newest three are kept. Only the
// leader proposes it. Where the newest one is not After, another leader was first,
// and it changes nothing. It moves no revision.
type RotateTickets struct {
	Ticket Ticket `json:"ticket"`
	After  string `json:"after,omitempty"`
}

func (SetDataKey) commandKind() string    { return "data_key" }
func (RotateTickets) commandKind() string { return "tickets" }

func (op SetDataKey) validate(f *faults) {
	checkKeyID(f, "/key/id", op.Key.ID)
	if len(op.Key.Wraps) < 1 || len(op.Key.Wraps) > maxWraps {
		f.add("/key/wraps", "has %d items, 1 to %d are taken", len(op.Key.Wraps), maxWraps)
		return
	}
	for i, wrap := range op.Key.Wraps {
		at := fmt.Sprintf("/key/wraps/%d", i)
		checkKeyID(f, at+"/secret", wrap.Secret)
		checkSealed(f, at+"/sealed", wrap.Sealed)
	}
}

func (op RotateTickets) validate(f *faults) {
	checkKeyID(f, "/ticket/id", op.Ticket.ID)
	checkSealed(f, "/ticket/sealed", op.Ticket.Sealed)
}

func checkKeyID(f *faults, pointer, id string) {
	if !isUID(id) || len(id) > maxKeyID {
		f.add(pointer, "%q is not 1 to %d printable ASCII characters without a space", clip(id), maxKeyID)
	}
}

func checkSealed(f *faults, pointer, text string) {
	if text == "" || len(text) > maxWrapBytes || !isBase64(text) {
		f.add(pointer, "is not a sealed key of at most %d bytes of base64", maxWrapBytes)
	}
}

// DataKey returns the registry's key, or nil before it has one. It must not be
// changed.
func (s *State) DataKey() *DataKey { return s.dataKey }

// Tickets returns the keys of session tickets, the newest first, at most 3. The
// slice must not be changed.
func (s *State) Tickets() []Ticket { return s.tickets }

func (d *draft) setDataKey(op SetDataKey) *Error {
	if d.dataKey != nil && d.dataKey.ID != op.Key.ID {
		return refuse(CodePrecondition, "/key/id", "%q is not the registry's key, %q: wrap that one", op.Key.ID, d.dataKey.ID)
	}
	if d.dataKey != nil && slices.Equal(d.dataKey.Wraps, op.Key.Wraps) {
		return nil
	}
	d.keepDataKey(&DataKey{ID: op.Key.ID, Wraps: slices.Clone(op.Key.Wraps)})
	d.keysChanged = true
	return nil
}

func (d *draft) rotateTickets(op RotateTickets) *Error {
	newest := ""
	if len(d.tickets) > 0 {
		newest = d.tickets[0].ID
	}
	if newest != op.After || newest == op.Ticket.ID {
		d.ignored++
		return nil
	}
	kept := append([]Ticket{op.Ticket}, d.tickets...)
	d.keepTickets(kept[:min(len(kept), maxTicketKeys)])
	d.keysChanged = true
	return nil
}

// keepDataKey and keepTickets keep the sum of hashes.
func (d *draft) keepDataKey(key *DataKey) {
	if d.dataKey != nil {
		d.sum -= hashEntry(lineDataKey, d.dataKey)
	}
	d.dataKey = key
	d.sum += hashEntry(lineDataKey, key)
}

func (d *draft) keepTickets(tickets []Ticket) {
	if len(d.tickets) > 0 {
		d.sum -= hashEntry(lineTicket, d.tickets)
	}
	d.tickets = tickets
	d.sum += hashEntry(lineTicket, tickets)
}
