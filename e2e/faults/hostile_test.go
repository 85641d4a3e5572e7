//go:build linux

package faults

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"evenkeel/e2e/harness"
)

const (
	hostileRounds = 300
	// suspicion is more than memberlist takes to declare a node dead that does
	// not answer.
	suspicion = 6 * time.Second
	// spareMemory is what a node may grow by while strangers talk to it.
	spareMemory = 64 << 20
)

// TestF21StrangersTalkToTheClusterPort: garbage, packets that are too large, a
// node with another secret, and what a dead node once said.
func TestF21StrangersTalkToTheClusterPort(t *testing.T) {
	onlyInCampaign(t)
	r := newRow("F21", "garbage, wrong key, replay, oversized packets", atOnce, 0, 0)
	b := newBed(t, r, bedOptions{lab: true, spare: 1})
	t.Run("garbage and oversized packets", func(t *testing.T) { b.garbage() })
	t.Run("wrong key", func(t *testing.T) { b.wrongKey() })
	t.Run("replay", func(t *testing.T) { b.replay() })
	b.finish()
}

func (b *bed) garbage() {
	leader := b.Leader(b.t)
	before := residentMemory(b.t, leader)
	f := b.begin()
	err := b.lab.Within(len(b.Nodes), func() error {
		for range hostileRounds {
			for _, send := range []func(string) error{streamGarbage, handshake, smallDatagram, largeDatagram} {
				if err := send(leader.ClusterAddr); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.waitWrites(20)
	f.end()
	if after := residentMemory(b.t, leader); after > before+spareMemory {
		b.t.Errorf("%s has %d MB, and had %d before strangers came", leader.Name, after>>20, before>>20)
	}
}

func streamGarbage(address string) error {
	conn, err := net.DialTimeout("tcp", address, harness.Patience)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, _ = conn.Write(random(64 << 10)) // the node may hang up in the middle
	return nil
}

// handshake speaks TLS as a stranger does.
func handshake(address string) error {
	conn, err := net.DialTimeout("tcp", address, harness.Patience)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(harness.Patience)); err != nil {
		return err
	}
	client := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"evenkeel-raft/1"}, MinVersion: tls.VersionTLS13})
	if client.Handshake() != nil {
		return nil
	}
	_, _ = client.Write(random(64 << 10))
	if n, _ := client.Read(make([]byte, 1)); n > 0 {
		return fmt.Errorf("%s answered a stranger", address)
	}
	return nil
}

func smallDatagram(address string) error { return datagram(address, 700) }
func largeDatagram(address string) error { return datagram(address, 60_000) }

func datagram(address string, size int) error {
	conn, err := net.Dial("udp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, _ = conn.Write(random(size)) // the queue may be full
	return nil
}

func random(size int) []byte {
	b := make([]byte, size)
	_, _ = rand.Read(b) // never fails
	return b
}

// residentMemory is what the process has in memory.
func residentMemory(t testing.TB, n *harness.Node) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", n.PID()))
	if err != nil {
		t.Fatal(err)
	}
	var size, resident int64
	if _, err := fmt.Fscan(bytes.NewReader(text), &size, &resident); err != nil {
		t.Fatal(err)
	}
	return resident * int64(os.Getpagesize())
}

// wrongKey has a node with another secret look for the cluster for a while.
func (b *bed) wrongKey() {
	f := b.begin()
	stranger := b.Outsider(b.t, "stranger", harness.NewSecret(b.t))
	stranger.Settle(b.lab.Sites[len(b.Nodes)])
	stranger.Start(b.t)
	hold(suspicion)
	b.noPhantom("stranger")
	info, err := stranger.Cluster()
	if err != nil || info.Quorum {
		b.t.Errorf("the stranger is %+v, %v", info, err)
	}
	stranger.Kill()
	f.end()
}

// noPhantom fails the test if a node lists more members than there are, or one
// of that name.
func (b *bed) noPhantom(name string) {
	b.t.Helper()
	for _, n := range b.Running() {
		members, err := n.Members()
		if err != nil {
			b.t.Error(err)
		}
		for _, m := range members {
			if m.Name == name && m.State == "alive" || len(members) > len(b.Nodes) {
				b.t.Errorf("%s lists %+v", n.Name, members)
			}
		}
	}
}

// recorder keeps what one node sends to another over UDP.
type recorder struct {
	mu     sync.Mutex // guards frames
	frames [][]byte
}

const keptFrames = 2000

func (r *recorder) keep(frame []byte) {
	const protocolAt, udp = 14 + 9, 17
	if len(frame) <= protocolAt || frame[protocolAt] != udp {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.frames) < keptFrames {
		r.frames = append(r.frames, bytes.Clone(frame))
	}
}

// replay says once more what a node said while it lived.
func (b *bed) replay() {
	leader, dead := b.Leader(b.t), b.Followers(b.t)[0]
	from, to := b.number(dead), b.number(leader)
	var said recorder
	b.lab.Tap(func(i, j int, frame []byte) {
		if i == from && j == to {
			said.keep(frame)
		}
	})
	hold(3 * time.Second)
	b.lab.Tap(nil)
	if len(said.frames) < 10 {
		b.void("only %d packets were recorded", len(said.frames))
	}
	f := b.begin(dead)
	dead.Kill()
	b.waitState(leader, dead.Name, "dead")
	roles := b.rolesAt(leader)
	for _, frame := range said.frames {
		if err := b.lab.Inject(to, frame); err != nil {
			b.t.Fatal(err)
		}
	}
	hold(suspicion)
	b.noPhantom(dead.Name)
	if now := b.rolesAt(leader); now != roles {
		b.t.Errorf("the members are %s after a replay, and were %s", now, roles)
	}
	dead.Start(b.t)
	b.WaitFormed(b.t)
	f.end()
}

func (b *bed) waitState(at *harness.Node, name, state string) {
	b.t.Helper()
	harness.Eventually(b.t, name+" is "+state, func() error {
		members, err := at.Members()
		for _, m := range members {
			if m.Name == name && m.State == state {
				return nil
			}
		}
		return fmt.Errorf("%+v, %v", members, err)
	})
}

func (b *bed) rolesAt(n *harness.Node) string {
	b.t.Helper()
	members, err := n.Members()
	if err != nil {
		b.t.Fatal(err)
	}
	var roles []string
	for _, m := range members {
		roles = append(roles, m.Name+" "+m.UID+" "+m.Role)
	}
	return fmt.Sprint(roles)
}
