package cluster

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// heardBox keeps what a node heard, as "name of the sender: payload".
type heardBox struct {
	mu  sync.Mutex
	all map[string]int
}

func (h *heardBox) take(from string, payload []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all[from+": "+string(payload)]++
}

func (h *heardBox) has(from *testNode, text string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.all[from.UID()+": "+text] > 0
}

// hearing makes every node hear a topic.
func (c *testCluster) hearing(topic string) map[string]*heardBox {
	boxes := map[string]*heardBox{}
	c.opened = func(n *Node) {
		box := &heardBox{all: map[string]int{}}
		boxes[n.Name()] = box
		n.Hear(topic, box.take)
	}
	return boxes
}

func TestWhatANodeTellsReachesAllOthersAlsoWhenOneIsDead(t *testing.T) {
	c := newTestCluster(t)
	boxes := c.hearing("news")
	nodes := c.form(3)
	eventually(t, "both others hear it", func() bool { // a packet may be lost
		nodes[0].Tell("news", []byte("hello"))
		return boxes["n2"].has(nodes[0], "hello") && boxes["n3"].has(nodes[0], "hello")
	})
	if boxes["n1"].has(nodes[0], "hello") {
		t.Error("a node hears itself")
	}
	if m := nodes[0].Messages(); m.Sent < 2 {
		t.Errorf("the sender counts %+v", m)
	}
	c.kill("n3")
	begun := time.Now()
	for i := range 50_000 {
		nodes[0].Tell("news", fmt.Appendf(nil, "%d", i))
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("50,000 messages with a dead peer took %s: it blocks", took)
	}
	eventually(t, "the one that is left hears the living", func() bool {
		nodes[0].Tell("news", []byte("after"))
		return boxes["n2"].has(nodes[0], "after")
	})
	if m := nodes[0].Messages(); m.Unsent == 0 {
		t.Errorf("50,000 messages at once are all sent: %+v", m)
	}
}

func TestANodeThatDoesNotRunNeverBlocksWhoTells(t *testing.T) {
	c := newTestCluster(t)
	n := c.open(c.config("n1"))
	t.Cleanup(func() { n.Close() })
	for range 2 * toldQueue {
		n.Tell("news", []byte("x"))
	}
	n.Tell("news", make([]byte, maxTold+1))
	n.Tell("", nil)
	n.Tell(strings.Repeat("x", maxTopic+1), nil)
	if got, want := n.Messages(), (Messages{Unsent: toldQueue + 3}); got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
}

const senderUID = "6f1c0b1e-0000-4000-8000-00000000000a"

// listener is a node that does not run and has met one sender.
func listener(t *testing.T) (*Node, *int) {
	c := newTestCluster(t)
	n := c.open(c.config("n1"))
	t.Cleanup(func() { n.Close() })
	n.gossip.members[senderUID] = &gossipMember{UID: senderUID, State: gossipAlive}
	heard := 0
	n.Hear("news", func(string, []byte) { heard++ })
	return n, &heard
}

func TestAMessageThatIsNotUnderstoodIsCountedAndNotHandled(t *testing.T) {
	const stranger = "6f1c0b1e-0000-4000-8000-00000000000b"
	good := encodeTold(senderUID, "news", []byte("x"))
	for name, c := range map[string]struct {
		packet []byte
		want   Messages
	}{
		"one that is":                  {good, Messages{Received: 1}},
		"the largest":                  {encodeTold(senderUID, "news", make([]byte, maxTold)), Messages{Received: 1}},
		"nothing":                      {nil, Messages{Faulty: 1}},
		"a newer format":               {append([]byte{toldFormat + 1}, good[1:]...), Messages{Unknown: 1}},
		"a topic of a newer build":     {encodeTold(senderUID, "more", nil), Messages{Unknown: 1}},
		"no topic":                     {encodeTold(senderUID, "", nil), Messages{Faulty: 1}},
		"a sender who is not there":    {encodeTold(stranger, "news", nil), Messages{Faulty: 1}},
		"a sender that is no UID":      {encodeTold("n1", "news", nil), Messages{Faulty: 1}},
		"too large":                    {encodeTold(senderUID, "news", make([]byte, maxTold+1)), Messages{Faulty: 1}},
		"cut off":                      {good[:20], Messages{Faulty: 1}},
		"a length beyond the message":  {[]byte{toldFormat, 255, 'x'}, Messages{Faulty: 1}},
		"a format and nothing else":    {good[:1], Messages{Faulty: 1}},
		"only a sender":                {good[:2+len(senderUID)], Messages{Faulty: 1}},
		"a topic of another one's end": {bytes.Replace(good, []byte{4, 'n'}, []byte{40, 'n'}, 1), Messages{Faulty: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			n, heard := listener(t)
			n.gossip.NotifyMsg(c.packet)
			if got := n.Messages(); got != c.want || *heard != int(c.want.Received) {
				t.Errorf("counted %+v and handled %d, want %+v", got, *heard, c.want)
			}
		})
	}
}

func TestAFloodOfOneNodeIsDroppedAndTheOthersAreHeard(t *testing.T) {
	n, heard := listener(t)
	packet := encodeTold(senderUID, "news", []byte("x"))
	begun := time.Now()
	const flood = 20_000
	for range flood {
		n.gossip.NotifyMsg(packet)
	}
	most := heardPerSecond + int(time.Since(begun).Seconds()*heardPerSecond) + 1
	if *heard < heardPerSecond || *heard > most {
		t.Errorf("%d of %d messages at once were handled, want %d to %d", *heard, flood, heardPerSecond, most)
	}
	if m := n.Messages(); m.Excess != uint64(flood-*heard) {
		t.Errorf("counted %+v of a flood of which %d were handled", m, *heard)
	}
	const other = "6f1c0b1e-0000-4000-8000-00000000000c"
	n.gossip.members[other] = &gossipMember{UID: other, State: gossipAlive}
	before := *heard
	if n.gossip.NotifyMsg(encodeTold(other, "news", nil)); *heard != before+1 {
		t.Error("the flood of one node drowns another's message")
	}
}

func TestAnAllowanceComesBackWithTime(t *testing.T) {
	now := time.Now()
	r := rate{left: 1, last: now}
	if !r.take(1000, now) || r.take(1000, now) || r.take(1000, now.Add(-time.Hour)) {
		t.Error("more is taken than is there")
	}
	r = rate{last: now}
	taken := 0
	for now = now.Add(10 * time.Hour); r.take(1000, now); {
		taken++
	}
	if taken != 1000 {
		t.Errorf("%d are taken after a long time, want 1000", taken)
	}
}

func FuzzToldMessages(f *testing.F) {
	f.Add(encodeTold(senderUID, "news", []byte("x")))
	f.Add([]byte{toldFormat, 255})
	f.Fuzz(func(t *testing.T, packet []byte) {
		from, topic, payload, ok := decodeTold(packet)
		if ok && !bytes.Equal(encodeTold(from, topic, payload)[1:], packet[1:]) {
			t.Errorf("%q is read as %q, %q, %q", packet, from, topic, payload)
		}
	})
}
