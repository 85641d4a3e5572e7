package httpapi

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"evenkeel/fsm"
)

// headerReplayed tells that the answer is of a request under the same key before.
const headerReplayed = "Idempotency-Replayed"

// keyOf returns the key of a write as the registry remembers it: hashes, of a
// length that does not depend on the client. A key is its actor's own, wherever
// that calls from.
func (want *wanted) keyOf(body []byte) fsm.Key {
	if want.key == "" {
		return fsm.Key{}
	}
	return fsm.Key{
		Name:    hashOf(want.by.name, want.key),
		Request: hashOf(append(want.request, string(body))...),
	}
}

// unkeyed is the same wanted without a key.
func (want *wanted) unkeyed() *wanted {
	bare := *want
	bare.key = ""
	return &bare
}

// recall returns what became of the same request under its key before, as far as
// this node knows. It may be a refusal, if that was another request.
func (a *API) recall(want *wanted, body []byte) (performed, bool) {
	key := want.keyOf(body)
	if key.Name == "" {
		return performed{}, false
	}
	s := a.config.Cluster.State()
	result, known := s.Recall(key)
	p := performed{Result: result}
	if want.dryRun {
		p.trial = &trial{s, s}
	}
	return p, known
}

// hashOf is the SHA-256 of the texts in 64 hexadecimal digits; each goes with
// its length, so that no two lists have the same.
func hashOf(texts ...string) string {
	hash := sha256.New()
	for _, text := range texts {
		hash.Write(binary.BigEndian.AppendUint64(nil, uint64(len(text)))) // a hash never fails to take in
		hash.Write([]byte(text))
	}
	return hex.EncodeToString(hash.Sum(nil))
}
