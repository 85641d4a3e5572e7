package peer

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"net/netip"
	"sync"
)

// A sealed packet is a version byte and what AES-256-GCM made of the rest,
// with a random nonce of 96 bits in front. The version byte is authenticated.
const (
	sealVersion  = 1
	sealOverhead = 1 + 12 + 16

	// maxPacket bounds a packet before it is sealed. memberlist's own are at
	// most 1,400 bytes, unless a message of a user is larger.
	maxPacket = 8 << 10
	maxSealed = maxPacket + sealOverhead

	// maxHabits bounds how many peers' keys are remembered.
	maxHabits = 4096
)

var (
	errUnsealed  = errors.New("the packet is not sealed with a secret of this node")
	errOversized = fmt.Errorf("a packet has 1 to %d bytes", maxPacket)
)

// sealer seals and opens packets. With several keys it answers a peer under
// the key that the peer last used, because a peer that has fewer secrets than
// we cannot open the others; to one that was not heard yet it uses the first.
type sealer struct {
	keys []cipher.AEAD

	mu     sync.Mutex             // guards what follows
	habits map[netip.AddrPort]int // the key that a peer used, if it is not the first
}

func newSealer(keys [][]byte) (*sealer, error) {
	s := &sealer{habits: map[netip.AddrPort]int{}}
	for _, key := range keys {
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, fmt.Errorf("prepare gossip key: %w", err)
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, fmt.Errorf("prepare gossip key: %w", err)
		}
		s.keys = append(s.keys, aead)
	}
	return s, nil
}

// seal returns the packet as it goes to that address.
func (s *sealer) seal(plain []byte, to netip.AddrPort) ([]byte, error) {
	if len(plain) == 0 || len(plain) > maxPacket {
		return nil, fmt.Errorf("seal packet of %d bytes: %w", len(plain), errOversized)
	}
	sealed := make([]byte, 1, len(plain)+sealOverhead)
	sealed[0] = sealVersion
	return s.keys[s.habit(to)].Seal(sealed, nil, plain, sealed[:1]), nil
}

// open returns the packet that arrived from that address, in memory of its own.
// Scratch is for the work and holds at least as much as the packet; what a
// stranger sends costs no memory.
func (s *sealer) open(sealed, scratch []byte, from netip.AddrPort) ([]byte, error) {
	switch {
	case len(sealed) > maxSealed:
		return nil, errOversized
	case len(sealed) <= sealOverhead || sealed[0] != sealVersion:
		return nil, errUnsealed
	}
	for i, key := range s.keys {
		plain, err := key.Open(scratch[:0], nil, sealed[1:], sealed[:1])
		if err != nil {
			continue
		}
		s.learn(from, i)
		return append(make([]byte, 0, len(plain)), plain...), nil
	}
	return nil, errUnsealed
}

func (s *sealer) habit(peer netip.AddrPort) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.habits[peer]
}

// learn notes the key that a peer used. When there are too many to be true,
// all are forgotten: they are learnt again with the next packets.
func (s *sealer) learn(peer netip.AddrPort, key int) {
	if len(s.keys) == 1 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if key == 0 {
		delete(s.habits, peer)
		return
	}
	if len(s.habits) >= maxHabits {
		clear(s.habits)
	}
	s.habits[peer] = key
}
