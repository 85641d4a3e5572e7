package health

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Messages of grpc.health.v1.Health/Check, of which both have one field that
// matters, are written and read by hand: it is less than a library of messages
// takes to be kept up to date.

// serving is the state of a service, as a HealthCheckResponse tells it.
type serving int32

// The states that the protocol knows.
const (
	servingUnknown        serving = 0
	servingYes            serving = 1
	servingNo             serving = 2
	servingServiceUnknown serving = 3
)

// Kinds of fields of a message.
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireFixed32 = 5
)

const (
	// framePrefix is what stands before a message: a byte that tells whether it is
	// compressed, and four that tell its length.
	framePrefix = 5
	// maxFieldNumber is the highest that a field can have.
	maxFieldNumber = 1<<29 - 1
)

// healthRequest returns a HealthCheckRequest for a service, framed.
func healthRequest(service string) []byte {
	var message []byte
	if service != "" { // what is empty is left out
		message = append(message, 1<<3|wireBytes)
		message = binary.AppendUvarint(message, uint64(len(service)))
		message = append(message, service...)
	}
	framed := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message)))
	return append(framed, message...)
}

// unframe returns the one message that a body must hold.
func unframe(body []byte) ([]byte, error) {
	switch {
	case len(body) == 0:
		return nil, errors.New("the answer has no message")
	case len(body) < framePrefix:
		return nil, fmt.Errorf("the answer's message is cut: %d bytes, %d stand before any", len(body), framePrefix)
	case body[0] != 0:
		return nil, fmt.Errorf("the answer's message is compressed (%d), which the check did not ask for", body[0])
	}
	length, message := binary.BigEndian.Uint32(body[1:]), body[framePrefix:]
	if uint64(length) != uint64(len(message)) {
		return nil, fmt.Errorf("the answer's message has %d bytes, but says %d", len(message), length)
	}
	return message, nil
}

// readServing reads a HealthCheckResponse: of the field status the last one, as
// for any message. Fields that it does not know are skipped.
func readServing(message []byte) (serving, error) {
	status := servingUnknown // what is left out is 0
	for rest := message; len(rest) > 0; {
		tag, n := binary.Uvarint(rest)
		number := tag >> 3
		if n <= 0 || number == 0 || number > maxFieldNumber {
			return 0, fmt.Errorf("the answer is no HealthCheckResponse: no field begins at byte %d", len(message)-len(rest))
		}
		rest = rest[n:]
		value, length, err := readValue(rest, tag&7)
		if err != nil {
			return 0, fmt.Errorf("the answer is no HealthCheckResponse: its field %d %w", number, err)
		}
		if number == 1 && tag&7 == wireVarint {
			status = serving(int32(value))
		}
		rest = rest[length:]
	}
	return status, nil
}

// readValue returns how long a field's value is, and the value of a number.
func readValue(rest []byte, wire uint64) (value uint64, length int, err error) {
	size := uint64(0)
	switch wire {
	case wireVarint:
		value, length = binary.Uvarint(rest)
		if length <= 0 {
			return 0, 0, errors.New("is cut, or no number")
		}
		return value, length, nil
	case wireFixed64:
		size = 8
	case wireFixed32:
		size = 4
	case wireBytes:
		told, n := binary.Uvarint(rest)
		if n <= 0 || told > math.MaxInt32 {
			return 0, 0, errors.New("tells no length")
		}
		size = told + uint64(n)
	default:
		return 0, 0, fmt.Errorf("is of kind %d, which is not used", wire)
	}
	if size > uint64(len(rest)) {
		return 0, 0, errors.New("is cut")
	}
	return 0, int(size), nil
}
