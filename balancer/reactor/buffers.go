package reactor

// Sizes of the buffers that hold what is incomplete: 1 KiB, 4 KiB and so on up
// to 1 MiB. Larger ones are not kept.
const (
	bufferClasses = 6
	smallest      = 1 << 10
	// keptBytes bounds what each class keeps for later.
	keptBytes = 2 << 20
)

// buffers is a loop's pool.
type buffers struct {
	free [bufferClasses][][]byte
}

// classOf returns the smallest class that holds n bytes.
func classOf(n int) int {
	class, size := 0, smallest
	for size < n && class < bufferClasses {
		class, size = class+1, size*4
	}
	return class
}

// get returns an empty buffer with room for n bytes.
func (b *buffers) get(n int) []byte {
	class := classOf(n)
	if class == bufferClasses {
		return make([]byte, 0, n)
	}
	if last := len(b.free[class]) - 1; last >= 0 {
		buffer := b.free[class][last]
		b.free[class] = b.free[class][:last]
		return buffer
	}
	return make([]byte, 0, smallest<<(2*class))
}

// put takes a buffer back.
func (b *buffers) put(buffer []byte) {
	class := classOf(cap(buffer))
	if class == bufferClasses || cap(buffer) != smallest<<(2*class) || len(b.free[class])*cap(buffer) >= keptBytes {
		return
	}
	b.free[class] = append(b.free[class], buffer[:0])
}

// add appends p to a buffer of the pool, or to nil.
func (b *buffers) add(buffer, p []byte) []byte {
	if cap(buffer)-len(buffer) >= len(p) {
		return append(buffer, p...)
	}
	larger := b.get(max(len(buffer)+len(p), 2*len(buffer)))
	larger = append(larger, buffer...)
	if buffer != nil {
		b.put(buffer)
	}
	return append(larger, p...)
}
