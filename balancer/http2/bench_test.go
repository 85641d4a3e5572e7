package http2

import (
	"fmt"
	"testing"
)

// BenchmarkServe is a request of eight fields and its response.
func BenchmarkServe(b *testing.B) {
	for _, size := range []int{0, 1000, 60000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			e := newExchange(b, size)
			b.ReportAllocs()
			for b.Loop() {
				e.run(b)
			}
			b.SetBytes(int64(size))
		})
	}
}

// BenchmarkAsk is a request of a client, and its response of 1000 bytes.
func BenchmarkAsk(b *testing.B) {
	e := newAsking(b)
	b.ReportAllocs()
	for b.Loop() {
		e.run(b)
	}
}
