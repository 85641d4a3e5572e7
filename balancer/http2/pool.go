package http2

// Pool is memory that the connections of one thread share: streams and buffers
// that are of use to whichever is next. So a connection that is idle owns next
// to nothing. Its zero value is ready; it must not be shared by threads.
type Pool struct {
	streams []*Stream
	buffers [][]byte
	blocks  []*block
}

// How much a pool keeps. More goes to the garbage collector.
const (
	poolStreams = 1024
	poolBuffers = 64
	poolBlocks  = 16
	// poolBuffer is how large a buffer may be that is kept: twice an output, to
	// which buffers grow that have to hold a little more than one.
	poolBuffer = 2 * DefaultOutput
)

func (p *Pool) stream() *Stream {
	if n := len(p.streams); n > 0 {
		s := p.streams[n-1]
		p.streams[n-1], p.streams = nil, p.streams[:n-1]
		return s
	}
	return new(Stream)
}

// putStream takes a stream that nobody refers to any more.
func (p *Pool) putStream(s *Stream) {
	*s = Stream{}
	if len(p.streams) < poolStreams {
		p.streams = append(p.streams, s)
	}
}

// buffer returns an empty one.
func (p *Pool) buffer() []byte {
	if n := len(p.buffers); n > 0 {
		b := p.buffers[n-1]
		p.buffers[n-1], p.buffers = nil, p.buffers[:n-1]
		return b
	}
	return make([]byte, 0, 4<<10)
}

func (p *Pool) putBuffer(b []byte) {
	if 0 < cap(b) && cap(b) <= poolBuffer && len(p.buffers) < poolBuffers {
		p.buffers = append(p.buffers, b[:0])
	}
}

func (p *Pool) block() *block {
	if n := len(p.blocks); n > 0 {
		b := p.blocks[n-1]
		p.blocks[n-1], p.blocks = nil, p.blocks[:n-1]
		return b
	}
	return new(block)
}

// putBlock forgets what a block refers to: the texts belong to a decoder.
func (p *Pool) putBlock(b *block) {
	clear(b.head.Fields)
	*b = block{head: Head{Fields: b.head.Fields[:0]}}
	if len(p.blocks) < poolBlocks && cap(b.head.Fields) <= 4*DefaultFields {
		p.blocks = append(p.blocks, b)
	}
}
