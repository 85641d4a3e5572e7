package peer

import (
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// reason is why something was refused; it is a label of a counter.
type reason int

const (
	reasonGarbage   reason = iota // not TLS, or not as TLS has it
	reasonSlow                    // the handshake took too long
	reasonClosed                  // the peer went away during the handshake
	reasonSecret                  // the peer does not have our secret
	reasonRejected                // the peer refused us, most often for the same cause
	reasonProtocol                // no ALPN protocol in common
	reasonUID                     // another process has our UID
	reasonCrowded                 // too many handshakes or connections
	reasonUnread                  // nobody took the connection or packet in time
	reasonEnded                   // this node's part in the protocol is over
	reasonOversized               // a packet beyond the bound
	reasonPacket                  // a packet that no secret of ours sealed
	reasonAccept                  // the operating system gave no connection
	reasons
)

var reasonNames = [reasons]string{
	"garbage", "slow-handshake", "closed-early", "wrong-secret", "rejected-by-peer", "no-common-protocol",
	"same-uid", "crowded", "unread", "ended", "oversized-packet", "unsealed-packet", "accept-failed",
}

func (r reason) String() string { return reasonNames[r] }

// Counters are what a port let in and refused since it was opened.
type Counters struct {
	// Accepted counts the connections of peers that were let in, by protocol.
	Accepted map[string]uint64 `json:"accepted"`
	// Packets counts the gossip packets that were let in.
	Packets uint64 `json:"packets"`
	// Refused counts connections and packets that were not, by reason. Every
	// reason is there.
	Refused map[string]uint64 `json:"refused"`
	// Handshaking and Connections are how many there are now.
	Handshaking int `json:"handshaking"`
	Connections int `json:"connections"`
}

// logInterval is the least time between two log lines of one reason.
const logInterval = 10 * time.Second

// refusals counts what was let in and refused, and logs the latter sparingly.
type refusals struct {
	logger   *slog.Logger
	refused  [reasons]atomic.Uint64
	accepted [len(protocols)]atomic.Uint64
	packets  atomic.Uint64

	mu     sync.Mutex // guards what follows
	logged [reasons]time.Time
	silent [reasons]uint64 // refusals since then that were not logged
}

func newRefusals(logger *slog.Logger) *refusals { return &refusals{logger: logger} }

// add counts a refusal and logs it, unless one for the same reason was logged
// a short while ago.
func (r *refusals) add(why reason, remote net.Addr, err error) {
	r.refused[why].Add(1)
	unlogged, ok := r.mayLog(why, time.Now())
	if !ok {
		return
	}
	log := r.logger.Warn
	if why == reasonClosed || why == reasonEnded {
		log = r.logger.Debug // port probes do that all day, and peers until they know that this node stops
	}
	log("refused on cluster port", "reason", why.String(), "remote", remote, "error", err, "unlogged", unlogged)
}

// mayLog tells whether a refusal at that time is to be logged, and how many
// were not since the last one that was.
func (r *refusals) mayLog(why reason, now time.Time) (unlogged uint64, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if last := r.logged[why]; !last.IsZero() && now.Sub(last) < logInterval {
		r.silent[why]++
		return 0, false
	}
	unlogged = r.silent[why]
	r.logged[why], r.silent[why] = now, 0
	return unlogged, true
}

func (r *refusals) accept(protocol string) {
	for i, name := range protocols {
		if name == protocol {
			r.accepted[i].Add(1)
		}
	}
}

func (r *refusals) counters() Counters {
	c := Counters{Accepted: map[string]uint64{}, Refused: map[string]uint64{}, Packets: r.packets.Load()}
	for i, name := range protocols {
		c.Accepted[name] = r.accepted[i].Load()
	}
	for why := range reasons {
		c.Refused[why.String()] = r.refused[why].Load()
	}
	return c
}
