package secret

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"unicode/utf8"
)

const (
	// prefix marks the secrets that New makes, so that one which lost some
	// characters in copying is noticed.
	prefix = "evenkeel-"
	// randomBytes is the entropy of such a secret.
	randomBytes = 32

	// A secret of the user's own making: 32 characters are 128 bits if they
	// are random hexadecimal digits.
	minLength   = 32
	maxLength   = 1024
	minDistinct = 8

	// maxSecrets bounds a ring, and with it the certificates that a node
	// presents.
	maxSecrets = 8
	// MaxText bounds the text of a ring in bytes.
	MaxText = 64 << 10
)

// The labels of the derivation. A released label is never changed: nodes that
// derive differently cannot talk.
const (
	hkdfSalt        = "evenkeel cluster secret v1"
	gossipKeyLabel  = "gossip key"
	authorityLabel  = "certificate authority seed"
	stickyLabel     = "sticky cookie key"
	bootstrapLabel  = "bootstrap token"
	webLabel        = "api certificate authority key"
	wrapLabel       = "data key wrap"
	secretIDLabel   = "secret id"
	loopbackText    = "evenkeel without a secret"
	gossipKeyLength = 32
	stickyKeyLength = 32
)

// New returns a new random secret of 256 bits as one printable line.
func New() string {
	var random [randomBytes]byte
	rand.Read(random[:]) // never fails: crypto/rand ends the process instead
	return prefix + base64.RawURLEncoding.EncodeToString(random[:])
}

// Ring is one or several cluster secrets: the first is used, all are accepted.
// It is immutable and safe for concurrent use, and prints without its keys.
type Ring struct {
	entries  []entry
	loopback bool
}

// entry is all that is kept of one secret.
type entry struct {
	gossipKey []byte
	stickyKey []byte
	authority ed25519.PrivateKey
	bootstrap [sha256.Size]byte // hash of the token
	web       *ecdsa.PrivateKey // issues the API's certificates
	wrap      *sealer           // seals data keys
	id        string            // says nothing about the secret
}

// Parse reads a ring from text of at most 64 KiB: one secret a line, at most
// 8 of them; blank lines and lines that begin with # are skipped, white space
// around a secret does not count. A secret is what [New] returns, or 32 to
// 1024 printable characters of the user's own. The error names every faulty
// line and never contains a secret.
func Parse(text []byte) (*Ring, error) {
	lines, err := parseLines(text)
	if err != nil {
		return nil, err
	}
	ring := &Ring{entries: make([]entry, len(lines))}
	for i, line := range lines {
		ring.entries[i] = derive(line)
	}
	return ring, nil
}

// parseLines returns the secrets of the text of a ring.
func parseLines(text []byte) ([]string, error) {
	if len(text) > MaxText {
		return nil, fmt.Errorf("parse secret: %d bytes of text are more than a secret file can have (%d)", len(text), MaxText)
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff")) // editors on Windows write a mark
	var (
		lines  []string
		faults []error
		seen   = map[string]int{}
	)
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := check(line); err != nil {
			faults = append(faults, fmt.Errorf("parse secret in line %d: %w", number, err))
			continue
		}
		if first := seen[line]; first != 0 {
			faults = append(faults, fmt.Errorf("parse secret in line %d: it repeats line %d, remove one of them", number, first))
			continue
		}
		seen[line] = number
		lines = append(lines, line)
	}
	switch {
	case len(faults) > 0:
		return nil, errors.Join(faults...)
	case len(lines) == 0:
		return nil, errors.New("parse secret: there is none in the text, make one with \"evenkeel secret\"")
	case len(lines) > maxSecrets:
		return nil, fmt.Errorf("parse secret: %d secrets are more than the %d a ring can hold, remove the retired ones", len(lines), maxSecrets)
	}
	return lines, nil
}

// Loopback returns the ring of a node that was given no secret. Its keys are
// known to everyone, so it protects nothing, and a port that uses it must be
// bound to a loopback address.
func Loopback() *Ring {
	return &Ring{entries: []entry{derive(loopbackText)}, loopback: true}
}

// LoopbackOnly tells whether the ring is the one of [Loopback].
func (r *Ring) LoopbackOnly() bool { return r.loopback }

// GossipKeys returns the keys that seal gossip packets, 32 bytes each, in the
// order of the secrets. The caller may keep and change them.
func (r *Ring) GossipKeys() [][]byte {
	keys := make([][]byte, len(r.entries))
	for i, e := range r.entries {
		keys[i] = bytes.Clone(e.gossipKey)
	}
	return keys
}

// StickyKeys returns the keys that sign sticky cookies, 32 bytes each, in the
// order of the secrets. The caller may keep and change them. Those of a node
// without a secret are known to everyone: its clients can choose their backend.
func (r *Ring) StickyKeys() [][]byte {
	keys := make([][]byte, len(r.entries))
	for i, e := range r.entries {
		keys[i] = bytes.Clone(e.stickyKey)
	}
	return keys
}

// String describes the ring without its keys.
func (r *Ring) String() string {
	if r.loopback {
		return "no secret (loopback only)"
	}
	return fmt.Sprintf("%d cluster secret(s)", len(r.entries))
}

// GoString keeps the keys out of %#v.
func (r *Ring) GoString() string { return r.String() }

// LogValue keeps the keys out of logs.
func (r *Ring) LogValue() slog.Value { return slog.StringValue(r.String()) }

// check says what is wrong with one secret, without repeating it.
func check(line string) error {
	if encoded, ok := strings.CutPrefix(line, prefix); ok {
		decoded, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
		if err != nil || len(decoded) != randomBytes {
			return fmt.Errorf("it begins with %q but is not as \"evenkeel secret\" printed it: %d characters follow, %d are due; copy the whole line again",
				prefix, len(encoded), base64.RawURLEncoding.EncodedLen(randomBytes))
		}
		return nil
	}
	distinct := map[rune]bool{}
	for _, r := range line {
		if r == utf8.RuneError || r < ' ' || r == 0x7f {
			return errors.New("it has characters that cannot be printed, is this the right file?")
		}
		distinct[r] = true
	}
	switch {
	case len(line) < minLength:
		return fmt.Errorf("its %d bytes are too short, at least %d are needed; make one with \"evenkeel secret\"", len(line), minLength)
	case len(line) > maxLength:
		return fmt.Errorf("its %d bytes are too long, at most %d are taken", len(line), maxLength)
	case len(distinct) < minDistinct:
		return fmt.Errorf("it has only %d different characters and can be guessed; make one with \"evenkeel secret\"", len(distinct))
	}
	return nil
}

// derive computes all keys of one secret.
func derive(line string) entry {
	return entry{
		gossipKey: expand(line, gossipKeyLabel, gossipKeyLength),
		stickyKey: expand(line, stickyLabel, stickyKeyLength),
		authority: ed25519.NewKeyFromSeed(expand(line, authorityLabel, ed25519.SeedSize)),
		bootstrap: HashToken(bootstrapToken(line)),
		web:       webKey(expand(line, webLabel, webSeedLength)),
		wrap:      newSealer(expand(line, wrapLabel, dataKeyLength)),
		id:        hex.EncodeToString(expand(line, secretIDLabel, idLength)),
	}
}

func expand(line, label string, length int) []byte {
	return expandKey([]byte(line), hkdfSalt, label, length)
}

func expandKey(from []byte, salt, label string, length int) []byte {
	key, err := hkdf.Key(sha256.New, from, []byte(salt), label, length)
	if err != nil {
		// Only a length beyond 255 hashes is an error, and lengths are constants.
		panic(fmt.Sprintf("derive %s: %v", label, err))
	}
	return key
}
