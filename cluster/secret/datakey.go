package secret

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
)

const (
	dataKeyLength = 32
	// idLength is that of what tells keys and secrets apart, in bytes; as text it has
	// twice as many characters.
	idLength = 8

	dataKeyIDLabel = "data key id"
	wrapContext    = "data key "
)

// DataKey seals what the registry keeps. It is immutable and safe for concurrent
// use, and prints without the key.
type DataKey struct {
	key    []byte // for Wrap
	id     string
	sealer *sealer
}

// NewDataKey returns a new random key of 256 bits.
func NewDataKey() *DataKey {
	key := make([]byte, dataKeyLength)
	rand.Read(key) // never fails: crypto/rand ends the process instead
	return dataKeyOf(key)
}

func dataKeyOf(key []byte) *DataKey {
	return &DataKey{key, hex.EncodeToString(expandKey(key, sealerSalt, dataKeyIDLabel, idLength)), newSealer(key)}
}

// ID tells this key from others and says nothing about it: 16 hexadecimal digits
// that follow from the key.
func (k *DataKey) ID() string { return k.id }

// Seal returns plain, of any length, encrypted as text in base64, with 29 bytes more
// before that. context says what it is and whose; it is not part of the text, and
// [DataKey.Open] needs the same. The same is always sealed to the same.
func (k *DataKey) Seal(context, plain string) string { return k.sealer.seal(context, []byte(plain)) }

// Open returns what was sealed with this key in this context. The error says why it
// cannot be opened and contains nothing of it.
func (k *DataKey) Open(context, sealed string) (string, error) {
	plain, err := k.sealer.open(context, sealed)
	if err != nil {
		return "", fmt.Errorf("open what is sealed with data key %s: %w", k.id, err)
	}
	return string(plain), nil
}

// String names the key by its ID.
func (k *DataKey) String() string { return "data key " + k.id }

// GoString keeps the key out of %#v.
func (k *DataKey) GoString() string { return k.String() }

// LogValue keeps the key out of logs.
func (k *DataKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// Wrap is a data key sealed under one secret.
type Wrap struct {
	Secret string // one of [Ring.IDs]
	Sealed string // base64
}

// IDs returns what tells the secrets apart, in their order: 16 hexadecimal digits
// each, which say nothing about a secret.
func (r *Ring) IDs() []string {
	ids := make([]string, len(r.entries))
	for i, e := range r.entries {
		ids[i] = e.id
	}
	return ids
}

// Wrap seals a data key under each secret, in their order; the same key always to
// the same. That of [Loopback] protects nothing: everybody knows what it is sealed
// under.
func (r *Ring) Wrap(k *DataKey) []Wrap {
	wraps := make([]Wrap, len(r.entries))
	for i, e := range r.entries {
		wraps[i] = Wrap{e.id, e.wrap.seal(wrapContext+k.id, k.key)}
	}
	return wraps
}

// noSecret is what a node without a secret wraps under.
var noSecret = sync.OnceValue(func() entry { return derive(loopbackText) })

// Unwrap returns the data key of that ID, from whichever wrap a secret of the ring
// opens. One that a node without a secret wrote is opened by every ring, so that a
// cluster can be given its first secret. The error names the secrets that the key is
// wrapped under, by their IDs.
func (r *Ring) Unwrap(id string, wraps []Wrap) (*DataKey, error) {
	var (
		faults []error
		under  []string
	)
	for _, wrap := range wraps {
		under = append(under, wrap.Secret)
		for _, e := range append(r.entries[:len(r.entries):len(r.entries)], noSecret()) {
			if e.id != wrap.Secret {
				continue
			}
			key, err := e.unwrap(id, wrap.Sealed)
			if err == nil {
				return key, nil
			}
			faults = append(faults, fmt.Errorf("under secret %s: %w", e.id, err))
			break
		}
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("unwrap data key %s: %w", id, errors.Join(faults...))
	}
	return nil, fmt.Errorf("unwrap data key %s: it is wrapped under the secrets %s, and this node has %s",
		id, strings.Join(under, ", "), strings.Join(r.IDs(), ", "))
}

func (e *entry) unwrap(id, sealed string) (*DataKey, error) {
	key, err := e.wrap.open(wrapContext+id, sealed)
	if err != nil {
		return nil, err
	}
	if len(key) != dataKeyLength {
		return nil, fmt.Errorf("it has %d bytes, %d are due", len(key), dataKeyLength)
	}
	if k := dataKeyOf(key); k.id == id {
		return k, nil
	}
	return nil, errors.New("it is another key")
}
