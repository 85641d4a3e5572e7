package apibench

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	putMethod   = "/etcdserverpb.KV/Put"
	rangeMethod = "/etcdserverpb.KV/Range"
	// window is what etcd may send on a connection without being asked: more than
	// a run takes, so that no frame is spent on it.
	window = 1<<31 - 1<<16 - 1
)

// etcdClient is one gRPC connection with a member of etcd, with one call at a
// time. It is for one goroutine.
type etcdClient struct {
	address string
	conn    net.Conn
	out     *bufio.Writer
	framer  *http2.Framer
	encoder *hpack.Encoder
	header  bytes.Buffer
	message []byte
	stream  uint32
}

func dialEtcd(address string) (*etcdClient, error) {
	conn, err := net.DialTimeout("tcp", address, callTimeout)
	if err != nil {
		return nil, err
	}
	c := &etcdClient{address: address, conn: conn, out: bufio.NewWriter(conn), stream: 1}
	c.framer = http2.NewFramer(c.out, bufio.NewReader(conn))
	c.framer.SetReuseFrames()
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.encoder = hpack.NewEncoder(&c.header)
	if _, err := c.out.WriteString(http2.ClientPreface); err != nil {
		return nil, err
	}
	err = errors.Join(c.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20}),
		c.framer.WriteWindowUpdate(0, window), c.out.Flush())
	return c, err
}

func (c *etcdClient) close() error { return c.conn.Close() }

// put writes a key.
func (c *etcdClient) put(key, value []byte) error {
	c.message = appendField(appendField(c.message[:0], 1, key), 2, value)
	_, err := c.call(putMethod)
	return err
}

// get reads a key as the member has it, and returns what the answer takes.
func (c *etcdClient) get(key []byte) (int, error) {
	const serializable = 7
	c.message = append(appendField(c.message[:0], 1, key), serializable<<3, 1)
	return c.call(rangeMethod)
}

// appendField appends a field of bytes of a Protocol Buffers message.
func appendField(message []byte, number byte, value []byte) []byte {
	const lengthDelimited = 2
	message = binary.AppendUvarint(append(message, number<<3|lengthDelimited), uint64(len(value)))
	return append(message, value...)
}

// call sends the message and waits until the call has ended well. It returns the
// length of the answer.
func (c *etcdClient) call(method string) (int, error) {
	if err := c.conn.SetDeadline(time.Now().Add(callTimeout)); err != nil {
		return 0, err
	}
	c.header.Reset()
	for _, field := range [...][2]string{{":method", "POST"}, {":scheme", "http"}, {":path", method}, {":authority", c.address},
		{"content-type", "application/grpc"}, {"te", "trailers"}} {
		if err := c.encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}); err != nil {
			return 0, err
		}
	}
	prefix := [5]byte{}
	binary.BigEndian.PutUint32(prefix[1:], uint32(len(c.message)))
	data := append(prefix[:], c.message...)
	stream := c.stream
	c.stream += 2
	err := errors.Join(
		c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: c.header.Bytes(), EndHeaders: true}),
		c.framer.WriteData(stream, true, data), c.out.Flush())
	if err != nil {
		return 0, err
	}
	return c.await(stream)
}

func (c *etcdClient) await(stream uint32) (size int, err error) {
	for {
		frame, err := c.framer.ReadFrame()
		if err != nil {
			return 0, err
		}
		switch frame := frame.(type) {
		case *http2.DataFrame:
			size += len(frame.Data())
		case *http2.MetaHeadersFrame:
			if frame.StreamID == stream && frame.StreamEnded() {
				return size, callError(frame)
			}
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				err = errors.Join(c.framer.WriteSettingsAck(), c.out.Flush())
			}
		case *http2.PingFrame:
			if !frame.IsAck() {
				err = errors.Join(c.framer.WritePing(true, frame.Data), c.out.Flush())
			}
		case *http2.RSTStreamFrame:
			err = fmt.Errorf("the call was reset: %s", frame.ErrCode)
		case *http2.GoAwayFrame:
			err = fmt.Errorf("the connection was ended: %s %s", frame.ErrCode, frame.DebugData())
		}
		if err != nil {
			return 0, err
		}
	}
}

// callError is nil if the trailers say that the call went well.
func callError(trailers *http2.MetaHeadersFrame) error {
	status, message := "none", ""
	for _, field := range trailers.Fields {
		switch field.Name {
		case "grpc-status":
			status = field.Value
		case "grpc-message":
			message = field.Value
		}
	}
	if status != "0" {
		return fmt.Errorf("grpc-status %s: %s", status, message)
	}
	return nil
}
