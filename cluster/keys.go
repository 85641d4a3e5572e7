package cluster

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"evenkeel/cluster/secret"
	"evenkeel/fsm"
)

// Keys seals and opens what the registry keeps and does not show, with the data key
// of the state that it is given and this node's secrets. Its methods do not block and
// may be called concurrently. No error contains a key or a text that was sealed.
type Keys struct {
	ring *secret.Ring
	last atomic.Pointer[unwrapped]
}

// unwrapped is a data key as the registry has it, and what this node's secrets make
// of that.
type unwrapped struct {
	of  *fsm.DataKey
	key *secret.DataKey
	err error
}

func newKeys(ring *secret.Ring) *Keys { return &Keys{ring: ring} }

// Keys returns what opens the registry's private keys on this node.
func (n *Node) Keys() *Keys { return n.keys }

// Seal returns plain sealed with the state's data key, as base64. context says what
// it is and whose, and Open needs the same; the same is always sealed to the same.
// The error says why this node cannot seal now, and what to do.
func (k *Keys) Seal(s *fsm.State, context, plain string) (string, error) {
	key, err := k.dataKey(s)
	if err != nil {
		return "", fmt.Errorf("seal %s: %w", context, err)
	}
	return key.Seal(context, plain), nil
}

// Open returns what was sealed in that context. The error says why this node cannot
// open it.
func (k *Keys) Open(s *fsm.State, context, sealed string) (string, error) {
	key, err := k.dataKey(s)
	if err != nil {
		return "", fmt.Errorf("open %s: %w", context, err)
	}
	plain, err := key.Open(context, sealed)
	if err != nil {
		return "", fmt.Errorf("open %s: %w", context, err)
	}
	return plain, nil
}

// SealPrivateKey returns the private key of the certificate of that name as the
// registry keeps it: [fsm.CertificateSpec.SealedKey]. It is of no use in a
// certificate of another name.
func (k *Keys) SealPrivateKey(s *fsm.State, name, pem string) (string, error) {
	return k.Seal(s, certificateContext(name), pem)
}

// PrivateKey returns the private key of a certificate in PEM.
func (k *Keys) PrivateKey(s *fsm.State, c *fsm.Certificate) (string, error) {
	return k.Open(s, certificateContext(c.Name), c.Spec.SealedKey)
}

// Reseal returns what seals the private keys of another state's certificates, such as
// those of a saved one, for s: as [Keys.SealPrivateKey] would. The other's data key is
// opened with this node's secrets; where both are the same, what is sealed stays as it
// is. The error says which of the two this node cannot open.
func (k *Keys) Reseal(s, other *fsm.State) (reseal func(*fsm.Certificate) (string, error), err error) {
	from := other.DataKey()
	switch own, err := k.dataKey(s); {
	case from == nil:
		return nil, errors.New("there is no data key with it")
	case s.DataKey() != nil && s.DataKey().ID == from.ID:
		return func(c *fsm.Certificate) (string, error) { return c.Spec.SealedKey, nil }, nil
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrCannotSeal, err)
	default:
		old := k.unwrap(from)
		if old.err != nil {
			return nil, old.err
		}
		return func(c *fsm.Certificate) (string, error) {
			context := certificateContext(c.Name)
			plain, err := old.key.Open(context, c.Spec.SealedKey)
			if err != nil {
				return "", fmt.Errorf("open %s: %w", context, err)
			}
			return own.Seal(context, plain), nil
		}, nil
	}
}

// ErrCannotSeal tells that this node cannot seal private keys, now or without another
// secret.
var ErrCannotSeal = errors.New("this node cannot seal private keys")

// TicketKeys returns the secrets of session tickets, 32 bytes each, the newest
// first; none before the first rotation. With an error it returns those that it could
// open.
func (k *Keys) TicketKeys(s *fsm.State) ([][]byte, error) {
	var (
		keys   [][]byte
		faults []error
	)
	for _, ticket := range s.Tickets() {
		plain, err := k.Open(s, ticketContext(ticket.ID), ticket.Sealed)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		keys = append(keys, []byte(plain))
	}
	return keys, errors.Join(faults...)
}

func certificateContext(name string) string { return "certificate/" + name }
func ticketContext(id string) string        { return "ticket/" + id }

var errNoDataKey = errors.New("the registry has no data key yet; its leader makes one once every node runs a build " +
	"of feature level 6: start the newer build on all nodes, and try again in a moment")

// dataKey unwraps the state's data key, or remembers it.
func (k *Keys) dataKey(s *fsm.State) (*secret.DataKey, error) {
	of := s.DataKey()
	if of == nil {
		return nil, errNoDataKey
	}
	last := k.last.Load()
	if last == nil || last.of != of && (last.of.ID != of.ID || !slices.Equal(last.of.Wraps, of.Wraps)) {
		last = k.unwrap(of)
		k.last.Store(last)
	}
	return last.key, last.err
}

func (k *Keys) unwrap(of *fsm.DataKey) *unwrapped {
	wraps := make([]secret.Wrap, len(of.Wraps))
	for i, wrap := range of.Wraps {
		wraps[i] = secret.Wrap(wrap)
	}
	key, err := k.ring.Unwrap(of.ID, wraps)
	if err != nil {
		err = fmt.Errorf("%w: give this node, as a further line of its secret file, a secret that the other nodes have or the cluster had before", err)
	}
	return &unwrapped{of, key, err}
}

// rewrapped returns the state's data key wrapped under each secret of this node, and
// whether that is something else. Secrets that this node does not have keep their
// wrap until its first secret has one: until then another node may know no other.
// key is the unwrapped one.
func (k *Keys) rewrapped(of *fsm.DataKey, key *secret.DataKey) (fsm.DataKey, bool) {
	own := k.wrapped(key)
	has := func(wraps []fsm.KeyWrap, id string) bool {
		return slices.ContainsFunc(wraps, func(w fsm.KeyWrap) bool { return w.Secret == id })
	}
	if !has(of.Wraps, own.Wraps[0].Secret) {
		for _, wrap := range of.Wraps {
			if !has(own.Wraps, wrap.Secret) {
				own.Wraps = append(own.Wraps, wrap)
			}
		}
	}
	own.Wraps = own.Wraps[:min(len(own.Wraps), maxWraps)]
	same := len(own.Wraps) == len(of.Wraps)
	for _, wrap := range own.Wraps {
		same = same && slices.Contains(of.Wraps, wrap)
	}
	return own, !same
}

// maxWraps is how many wraps the registry takes.
const maxWraps = 16

// wrapped returns a data key as the registry keeps it, under each secret of this node.
func (k *Keys) wrapped(key *secret.DataKey) fsm.DataKey {
	all := fsm.DataKey{ID: key.ID()}
	for _, wrap := range k.ring.Wrap(key) {
		all.Wraps = append(all.Wraps, fsm.KeyWrap(wrap))
	}
	return all
}
