package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"

	"evenkeel/balancer/table"
)

// tunnel switches both sides to the protocol that they agreed upon and passes
// bytes both ways until both have ended, one end at a time.
func (x *exchange) tunnel(b *table.Backend, response *http.Response) {
	agreed := upgradeOf(response.Header)
	backend, writable := response.Body.(io.ReadWriteCloser)
	if agreed == "" || !hasToken([]string{x.upgrade}, agreed) || !writable || !x.body.isWhole() {
		b.Stats.Failures.Add(1)
		x.answer(badGateway)
		return
	}
	b.Stats.CountResponse(response.StatusCode)
	x.beginFinal()
	copyResponseHeader(x.w.Header(), response.Header)
	client, buffered, err := x.rc.Hijack()
	if err != nil {
		x.h.proxy.config.Logger.Warn("cannot take over the connection for an upgrade", "listener", x.h.name, "error", err)
		x.abort()
	}
	defer client.Close()
	if x.client != nil {
		x.client.tunnel(x.limits.tunnel)
	}
	x.conn.setQuiet(x.limits.tunnel)
	head := x.w.Header()
	head["Connection"], head["Upgrade"] = []string{"Upgrade"}, []string{agreed}
	if head["Content-Type"] == nil {
		delete(head, "Content-Type")
	}
	if err := writeSwitch(buffered.Writer, head); err != nil {
		x.h.counters.ClientLeft.Add(1)
		return
	}
	x.pump(client, buffered.Reader, backend)
}

func writeSwitch(w *bufio.Writer, head http.Header) error {
	if _, err := fmt.Fprintf(w, "HTTP/1.1 %d %s\r\n", http.StatusSwitchingProtocols,
		http.StatusText(http.StatusSwitchingProtocols)); err != nil {
		return err
	}
	if err := head.Write(w); err != nil {
		return err
	}
	if _, err := w.WriteString("\r\n"); err != nil {
		return err
	}
	return w.Flush()
}

// pump copies both directions and returns after both have ended. An end is
// passed on as a half-close; an error ends both directions.
func (x *exchange) pump(client net.Conn, ahead *bufio.Reader, backend io.ReadWriteCloser) {
	up := make(chan struct{})
	go func() {
		defer close(up)
		defer x.contain(client, backend)
		x.copyOneWay(backend, &aheadReader{ahead: ahead, conn: client}, &x.h.counters.BytesIn, client, backend)
	}()
	x.copyOneWay(client, backend, &x.h.counters.BytesOut, client, backend)
	<-up
}

// contain keeps a panic in a goroutine of a tunnel from ending the process.
func (x *exchange) contain(ends ...io.Closer) {
	if fault := recover(); fault != nil {
		x.h.counters.Panics.Add(1)
		x.h.proxy.config.Logger.Error("tunnel met a bug", "listener", x.h.name, "panic", fault)
		closeAll(ends)
	}
}

func (x *exchange) copyOneWay(to io.Writer, from io.Reader, count *atomic.Uint64, ends ...io.Closer) {
	buffer := x.h.proxy.buffers.Get().(*[copyBuffer]byte)
	defer x.h.proxy.buffers.Put(buffer)
	for {
		n, err := from.Read(buffer[:])
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				closeAll(ends)
				return
			}
			count.Add(uint64(n))
		}
		if err == nil {
			continue
		}
		half, ok := to.(interface{ CloseWrite() error })
		if err != io.EOF || !ok || half.CloseWrite() != nil {
			closeAll(ends)
		}
		return
	}
}

// closeAll ends both directions; whatever it cannot close is closed already.
func closeAll(ends []io.Closer) {
	for _, end := range ends {
		_ = end.Close()
	}
}

// aheadReader reads what the server's buffer took from the connection before
// the upgrade, then the connection itself.
type aheadReader struct {
	ahead *bufio.Reader
	conn  net.Conn
}

func (r *aheadReader) Read(p []byte) (int, error) {
	if r.ahead != nil {
		if n := r.ahead.Buffered(); n > 0 {
			return r.ahead.Read(p[:min(n, len(p))])
		}
		r.ahead = nil
	}
	return r.conn.Read(p)
}
