package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
)

// sealedVersion begins what is sealed, so that another way of sealing can be told
// from this one.
const sealedVersion = 1

const nonceLength = 12

// The labels of what a sealer derives, released like those of the secrets.
const (
	sealerSalt   = "evenkeel sealing v1"
	encryptLabel = "encryption key"
	nonceLabel   = "nonce key"
)

// sealer encrypts texts with AES-256-GCM. The nonce is not random but follows from
// all that is sealed, so the same is always sealed to the same: whoever writes an
// object again as it is changes nothing. What this tells who sees two sealed texts is
// whether they are equal. Immutable, safe for concurrent use.
type sealer struct {
	aead     cipher.AEAD
	nonceKey []byte
}

// newSealer derives both keys from one of 32 bytes.
func newSealer(key []byte) *sealer {
	block, err := aes.NewCipher(expandKey(key, sealerSalt, encryptLabel, 32))
	if err != nil {
		panic(fmt.Sprintf("make sealer: %v", err)) // the length is a constant
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(fmt.Sprintf("make sealer: %v", err)) // AES has the block size that it wants
	}
	return &sealer{aead, expandKey(key, sealerSalt, nonceLabel, sha256.Size)}
}

// seal returns the text in base64: version, nonce, ciphertext with its tag.
func (s *sealer) seal(context string, plain []byte) string {
	sealed := append([]byte{sealedVersion}, s.nonce(context, plain)...)
	sealed = s.aead.Seal(sealed, sealed[1:], plain, []byte(context))
	return base64.StdEncoding.EncodeToString(sealed)
}

// open is the reverse of seal. It takes nothing but what seal returned, character by
// character.
func (s *sealer) open(context, text string) ([]byte, error) {
	sealed, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || base64.StdEncoding.EncodeToString(sealed) != text { // decoding passes over line ends
		return nil, errors.New("it is not base64")
	}
	if len(sealed) < 1+nonceLength+s.aead.Overhead() {
		return nil, fmt.Errorf("its %d bytes are too few, it is cut off", len(sealed))
	}
	if sealed[0] != sealedVersion {
		return nil, fmt.Errorf("it is sealed in a way (%d) that this build does not know: start a newer build", sealed[0])
	}
	plain, err := s.aead.Open(nil, sealed[1:1+nonceLength], sealed[1+nonceLength:], []byte(context))
	if err != nil {
		return nil, errors.New("it was sealed with another key or for something else, or is damaged")
	}
	return plain, nil
}

// nonce depends on the context too: GCM must not meet two messages with one nonce,
// and it counts the additional data as part of the message.
func (s *sealer) nonce(context string, plain []byte) []byte {
	mac := hmac.New(sha256.New, s.nonceKey)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(context))))
	mac.Write([]byte(context))
	mac.Write(plain)
	return mac.Sum(nil)[:nonceLength]
}
