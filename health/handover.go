package health

import (
	"bytes"
	"context"
	"io"
	"os"
	"slices"
	"time"
)

// handover is a probe that goes on in a goroutine.
type handover struct {
	result
	prober  direct
	conn    *os.File
	held    []byte // what was read
	began   time.Time
	timeout time.Duration
}

// handOver gives a probe to whoever takes handed.
func (e *engine) handOver(x *errand, seen []byte) {
	e.poller.ignore(x.fd)
	e.handed = append(e.handed, handover{
		result: x.result, prober: x.prober, began: x.began, timeout: x.timeout,
		conn: os.NewFile(uintptr(x.fd), "probe"), held: slices.Clone(seen),
	})
	e.leave(x)
	x.fd, x.watched = -1, false
	x.generation++
	e.recycle(x)
}

// run ends a probe that was handed over.
func (h handover) run(ctx context.Context) result {
	stop := context.AfterFunc(ctx, func() { _ = h.conn.SetDeadline(time.Unix(1, 0)) })
	to := h.prober.line().to
	reduction, err := h.prober.carryOn(ctx, io.MultiReader(bytes.NewReader(h.held), h.conn), h.prober.dialer(to))
	stop()
	_ = h.conn.Close() // the probe's verdict stands, and nothing is left to lose
	if err != nil {
		err = h.prober.at(to, err)
	}
	h.latency = time.Since(h.began)
	h.reduction, h.err = reduction, stalled(err, h.latency, h.timeout)
	return h.result
}

func (h handover) deadline() time.Time { return h.began.Add(h.timeout) }
