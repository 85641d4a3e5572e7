package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
)

const (
	// maxTold is the most bytes that a message carries: with its head and the seal
	// it fits into one packet of any network.
	maxTold = 1000
	// maxTopic bounds the name of a topic.
	maxTopic = 32
	// toldQueue is how many messages wait to be sent.
	toldQueue = 256
	// heardPerSecond is how many messages of one node are heard in a second, and
	// at once; more are dropped unread.
	heardPerSecond = 1000
	// toldFormat begins every message. Another one is of a newer build.
	toldFormat = 1
)

// Messages counts what [Node.Tell] sent and [Node.Hear] got since the process
// began.
type Messages struct {
	// Sent is messages, once for each node that they were sent to; Unsent are
	// those that were too large, found no room to wait in or no network.
	Sent, Unsent uint64
	// Received is what a handler got.
	Received uint64
	// Unknown are of a topic or format that this build does not know, Faulty those
	// that make no sense or name a sender who is not there, Excess those of a node
	// that sends more than 1,000 a second. None of them was handled.
	Unknown, Faulty, Excess uint64
}

// told is one message that waits.
type told struct {
	topic   string
	payload []byte
}

// talk is a node's side of short messages that may be lost.
type talk struct {
	node     *Node
	queue    chan told
	handlers map[string]func(from string, payload []byte) // not written once the node runs

	mu    sync.Mutex // guards rates
	rates map[string]*rate

	sent, unsent, received, unknown, faulty, excess atomic.Uint64
}

func newTalk(n *Node) *talk {
	return &talk{node: n, queue: make(chan told, toldQueue), handlers: map[string]func(string, []byte){}, rates: map[string]*rate{}}
}

// Tell sends a message to every other node that is alive, at once and best
// effort: one packet each, which may be lost, and no second try. It never
// blocks and keeps nothing of payload. A payload of more than 1,000 bytes, and
// one for which 256 others wait, is dropped and counted; see [Messages].
func (n *Node) Tell(topic string, payload []byte) {
	if len(payload) > maxTold || !validTopic(topic) {
		n.talk.unsent.Add(1)
		return
	}
	select {
	case n.talk.queue <- told{topic, append([]byte(nil), payload...)}:
	default:
		n.talk.unsent.Add(1)
	}
}

// Hear sets what handles the messages of a topic, a word of 1 to 32 bytes. It is
// called before Run. The handler gets the sender's UID, which whoever has the cluster's secret can
// forge, and a payload of at most 1,000 bytes that is its own only until it
// returns. It must not block: all gossip waits for it. It is never called
// twice at a time.
func (n *Node) Hear(topic string, handle func(from string, payload []byte)) {
	n.talk.handlers[topic] = handle
}

// Messages returns the counters as they are now.
func (n *Node) Messages() Messages {
	t := n.talk
	return Messages{
		Sent: t.sent.Load(), Unsent: t.unsent.Load(), Received: t.received.Load(),
		Unknown: t.unknown.Load(), Faulty: t.faulty.Load(), Excess: t.excess.Load(),
	}
}

func validTopic(topic string) bool { return topic != "" && len(topic) <= maxTopic }

// run sends what is told until ctx ends.
func (t *talk) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case message := <-t.queue:
			t.send(encodeTold(t.node.UID(), message.topic, message.payload))
		}
	}
}

func (t *talk) send(packet []byte) {
	list := t.node.gossip.memberlist()
	members, _ := t.node.gossip.view()
	for uid, member := range members {
		if member.State != gossipAlive {
			continue
		}
		if err := sendPacket(list, uid, member.Addr, packet); err != nil {
			t.unsent.Add(1)
			if ok, _ := t.node.notices.allow("tell "+uid, time.Now()); ok {
				t.node.logger.Debug("a message was not sent", "member", member.Name, "error", err)
			}
			continue
		}
		t.sent.Add(1)
	}
}

func sendPacket(list *memberlist.Memberlist, uid, addr string, packet []byte) error {
	if list == nil {
		return errors.New("gossip has not begun")
	}
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return fmt.Errorf("send to node %q at %q: %w", uid, addr, err)
	}
	return list.SendBestEffort(&memberlist.Node{Name: uid, Addr: to.Addr().AsSlice(), Port: to.Port()}, packet)
}

// encodeTold puts the sender and the topic, each with its length, before the
// payload.
func encodeTold(from, topic string, payload []byte) []byte {
	packet := make([]byte, 0, 3+len(from)+len(topic)+len(payload))
	packet = append(packet, toldFormat, byte(len(from)))
	packet = append(packet, from...)
	packet = append(packet, byte(len(topic)))
	packet = append(packet, topic...)
	return append(packet, payload...)
}

// decodeTold takes a message of this build's format apart.
func decodeTold(packet []byte) (from, topic string, payload []byte, ok bool) {
	take := func() (string, bool) {
		if len(packet) == 0 || len(packet) < 1+int(packet[0]) {
			return "", false
		}
		text := string(packet[1 : 1+int(packet[0])])
		packet = packet[1+len(text):]
		return text, true
	}
	if len(packet) == 0 {
		return "", "", nil, false
	}
	packet = packet[1:]
	from, ok = take()
	if ok {
		topic, ok = take()
	}
	return from, topic, packet, ok && validUID(from) && validTopic(topic) && len(packet) <= maxTold
}

// receive handles one packet of whoever has the secret. What is not understood
// costs no more than its decoding.
func (t *talk) receive(packet []byte) {
	if len(packet) > 0 && packet[0] != toldFormat {
		t.unknown.Add(1)
		return
	}
	from, topic, payload, ok := decodeTold(packet)
	if member, known := t.node.gossip.member(from); !ok || !known || member.State != gossipAlive {
		t.faulty.Add(1)
		return
	}
	if !t.allow(from, time.Now()) {
		t.excess.Add(1)
		return
	}
	handle := t.handlers[topic]
	if handle == nil {
		t.unknown.Add(1)
		return
	}
	t.received.Add(1)
	handle(from, payload)
}

// allow takes one message from what a node may send.
func (t *talk) allow(from string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.rates[from]
	if r == nil {
		for uid := range t.rates { // who is gone needs no allowance
			if _, known := t.node.gossip.member(uid); !known {
				delete(t.rates, uid)
			}
		}
		r = &rate{left: heardPerSecond, last: now}
		t.rates[from] = r
	}
	return r.take(heardPerSecond, now)
}

// rate is an allowance that fills up again with time.
type rate struct {
	left float64
	last time.Time
}

// take takes one of at most perSecond that come back each second.
func (r *rate) take(perSecond float64, now time.Time) bool {
	r.left = min(perSecond, r.left+perSecond*max(0, now.Sub(r.last).Seconds()))
	r.last = now
	if r.left < 1 {
		return false
	}
	r.left--
	return true
}
