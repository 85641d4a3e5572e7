package fsm

import (
	"encoding/binary"
	"encoding/json"

	"github.com/cespare/xxhash/v2"
)

// Digest returns a hash of all objects and nodes and of the counters that order
// them. Replicas at the same version have the same digest, or they have
// diverged. The remembered results of commands are not in it: a refused command
// leaves one and moves no version.
//
// It is kept incrementally as the sum of the entries' 64-bit hashes, so a
// change costs what the changed entries cost. It detects faults, not forgery.
func (s *State) Digest() uint64 {
	h := xxhash.New()
	write64(h, s.sum, s.featureLevel, s.revision, s.version)
	writeText(h, s.clusterID)
	return h.Sum64()
}

// hashEntry returns the hash of an object or node: of its kind and its JSON,
// which has a fixed field order and sorted map keys.
func hashEntry(kind Kind, entry any) uint64 {
	if b, ok := entry.(*Backend); ok {
		var room [1024]byte
		if data, ok := appendBackend(room[:0], b); ok {
			return hashEncoded(kind, data)
		}
	}
	data, err := json.Marshal(entry)
	if err != nil {
		// Only types of this package come here, and none can fail. Going on
		// would let replicas diverge unseen.
		panic("fsm: hash " + string(kind) + ": " + err.Error())
	}
	return hashEncoded(kind, data)
}

// hashEncoded is hashEntry of what has that JSON.
func hashEncoded(kind Kind, data []byte) uint64 {
	h := xxhash.New()
	writeText(h, string(kind))
	write64(h, uint64(len(data)))
	_, _ = h.Write(data)
	return h.Sum64()
}

// The writes of an xxhash.Digest never fail.

func write64(h *xxhash.Digest, values ...uint64) {
	var buffer [8]byte
	for _, value := range values {
		binary.LittleEndian.PutUint64(buffer[:], value)
		_, _ = h.Write(buffer[:])
	}
}

// writeText writes the length too, so that no two sequences of texts are the
// same bytes.
func writeText(h *xxhash.Digest, text string) {
	write64(h, uint64(len(text)))
	_, _ = h.WriteString(text)
}
