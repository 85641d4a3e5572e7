package proxy

import (
	"errors"
	"io"
	"net/http"
	"time"

	"evenkeel/balancer/table"
)

// relay sends a backend's response to the client as it comes.
func (x *exchange) relay(b *table.Backend, response *http.Response) {
	defer response.Body.Close()
	if response.StatusCode < 300 && !response.Close {
		x.sendContinue() // it may be an answer to the body, before it and without a 100
	}
	if response.StatusCode == http.StatusSwitchingProtocols {
		x.tunnel(b, response)
		return
	}
	if response.StatusCode < 200 || response.StatusCode > 999 {
		b.Stats.Failures.Add(1)
		x.answer(badGateway)
		return
	}
	b.Stats.CountResponse(response.StatusCode)
	x.beginFinal()
	h := x.w.Header()
	copyResponseHeader(h, response.Header)
	for name := range response.Trailer {
		h.Add("Trailer", name)
	}
	if x.mustClose() {
		h.Set("Connection", "close")
	}
	x.w.WriteHeader(response.StatusCode)
	if err := x.copyBody(response); err != nil {
		x.cutShort(b, err, response)
	}
	x.copyTrailer(response)
}

// clientError is a failure to write to the client.
type clientError struct{ error }

// cutShort ends a response that cannot be completed so that nobody takes it
// for complete.
func (x *exchange) cutShort(b *table.Backend, err error, response *http.Response) {
	var client clientError
	if errors.As(err, &client) || x.ctx.Err() != nil {
		x.leave()
	}
	if x.body.isBroken() { // the transport gave up because of that
		x.leave()
	}
	b.Stats.Failures.Add(1)
	// Without a length and without chunks the end of the connection is the end
	// of the body, unless it is a reset.
	if x.client != nil && !x.in.ProtoAtLeast(1, 1) && response.ContentLength < 0 {
		x.client.resetOnClose()
	}
	x.abort()
}

// copyBody writes and flushes each piece when it arrives. Only the last one is
// left to the end of the exchange, to share a packet with what ends the body.
func (x *exchange) copyBody(response *http.Response) error {
	if response.Body == http.NoBody {
		return nil
	}
	buffer := x.h.proxy.buffers.Get().(*[copyBuffer]byte)
	defer x.h.proxy.buffers.Put(buffer)
	copied := int64(0)
	n, err := x.readFirst(response.Body, buffer[:])
	for {
		if n > 0 {
			if _, err := x.w.Write(buffer[:n]); err != nil {
				return clientError{err}
			}
			copied += int64(n)
			x.h.counters.BytesOut.Add(uint64(n))
		}
		if err == io.EOF {
			return nil
		}
		if n > 0 && copied != response.ContentLength || err != nil {
			if err := x.rc.Flush(); err != nil {
				return clientError{err}
			}
		}
		if err != nil {
			return err
		}
		n, err = response.Body.Read(buffer[:])
	}
}

// readFirst reads the body's first piece. If that takes a moment, the head goes
// ahead.
func (x *exchange) readFirst(body io.Reader, p []byte) (n int, err error) {
	arrived := false
	late := time.AfterFunc(x.limits.headFlush, func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		if !arrived {
			_ = x.rc.Flush() // the first write gets the error again
		}
	})
	defer func() {
		late.Stop()
		x.mu.Lock()
		defer x.mu.Unlock()
		arrived = true
	}()
	return body.Read(p)
}

func (x *exchange) copyTrailer(response *http.Response) {
	h := x.w.Header()
	for name, values := range response.Trailer {
		if len(values) == 0 {
			continue
		}
		if !hasToken(h["Trailer"], name) {
			name = http.TrailerPrefix + name
		}
		h[name] = values
	}
}
