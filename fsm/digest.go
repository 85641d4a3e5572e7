package fsm

import (
	"encoding/binary"
	"encoding/json"

	"github.com/cespare/xxhash/v2"
)

// Digest returns a hash of everything that the state holds, the remembered
// results of commands included. Replicas that applied the same commands have
// the same digest, or they have diverged. The version alone does not tell that
// they did: a refused command moves the digest and not the version.
//
// It is kept incrementally as the sum of the entries' 64-bit hashes, so a
// change costs what the changed entries cost. It detects faults, not forgery.
func (s *State) Digest() uint64 {
	h := xxhash.New()
	write64(h, s.sum, s.featureLevel, s.revision, s.version, s.applied)
	writeText(h, s.clusterID)
	return h.Sum64()
}

// hashEntry returns the hash of an object or node: of its kind and its JSON,
// which has a fixed field order and sorted map keys.
func hashEntry(kind Kind, entry any) uint64 {
	data, err := json.Marshal(entry)
	if err != nil {
		// Only types of this package come here, and none can fail. Going on
		// would let replicas diverge unseen.
		panic("fsm: hash " + string(kind) + ": " + err.Error())
	}
	h := xxhash.New()
	writeText(h, string(kind))
	writeText(h, string(data))
	return h.Sum64()
}

// hash leaves out the texts of faults, which a newer build may word better.
func (r *record) hash() uint64 {
	h := xxhash.New()
	writeText(h, r.Origin)
	write64(h, r.Seq, r.Version, r.Revision, bit(r.Changed), bit(r.Created))
	if r.Err != nil {
		writeText(h, string(r.Err.Code))
	}
	return h.Sum64()
}

func (o *origin) hash() uint64 {
	h := xxhash.New()
	writeText(h, o.UID)
	write64(h, o.Newest, o.Applied)
	return h.Sum64()
}

func bit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
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
