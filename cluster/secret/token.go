package secret

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// tokenPrefix marks the tokens of the API, so that one which turns up in a log
// or a repository is known for what it is.
const tokenPrefix = "ek-"

// tokenBytes is the entropy of a token: it cannot be guessed, whatever the
// number of attempts.
const tokenBytes = 32

// NewToken returns a new random bearer token of the API, 256 bits as 46
// characters. The caller keeps its [HashToken] alone.
func NewToken() string {
	var random [tokenBytes]byte
	rand.Read(random[:]) // never fails: crypto/rand ends the process instead
	return formatToken(random[:])
}

// HashToken returns what is kept of a token. It needs no salt and no slow
// function, because what [NewToken] returns and a secret derives cannot be
// guessed.
func HashToken(token string) [sha256.Size]byte { return sha256.Sum256([]byte(token)) }

// IsToken tells whether text has the form of what [NewToken] returns.
func IsToken(text string) bool {
	encoded, ok := strings.CutPrefix(text, tokenPrefix)
	if !ok {
		return false
	}
	decoded, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	return err == nil && len(decoded) == tokenBytes
}

// BootstrapTokens returns the API token with every right that is derived from
// each secret of the text, in their order: who holds the secret can have it,
// without a node and offline. The error is that of [Parse]. A node keeps the
// hashes alone, [Ring.BootstrapHashes].
func BootstrapTokens(text []byte) ([]string, error) {
	lines, err := parseLines(text)
	if err != nil {
		return nil, err
	}
	tokens := make([]string, len(lines))
	for i, line := range lines {
		tokens[i] = bootstrapToken(line)
	}
	return tokens, nil
}

// BootstrapHashes returns the hashes of the tokens that are derived from the
// secrets, in their order. A ring without a secret has none: that token would
// be known to everyone.
func (r *Ring) BootstrapHashes() [][sha256.Size]byte {
	if r.loopback {
		return nil
	}
	hashes := make([][sha256.Size]byte, len(r.entries))
	for i, e := range r.entries {
		hashes[i] = e.bootstrap
	}
	return hashes
}

func bootstrapToken(line string) string {
	return formatToken(expand(line, bootstrapLabel, tokenBytes))
}

func formatToken(data []byte) string {
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(data)
}
