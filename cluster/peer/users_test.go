package peer

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/raft"
)

// Two real memberlists meet over the ports, without a keyring of their own.
func TestMemberlistOverThePort(t *testing.T) {
	a, b := pair(t, echo())
	lists := map[*Port]*memberlist.Memberlist{}
	for _, p := range []*Port{a, b} {
		config := memberlist.DefaultLocalConfig()
		config.Name = p.uid
		config.Transport = p.Gossip()
		config.BindPort = int(p.Addr().Port())
		config.AdvertiseAddr, config.AdvertisePort = p.Addr().Addr().String(), int(p.Addr().Port())
		config.Logger = log.New(io.Discard, "", 0)
		list, err := memberlist.Create(config)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := list.Shutdown(); err != nil {
				t.Errorf("shut memberlist down: %v", err)
			}
		})
		lists[p] = list
	}
	if _, err := lists[a].Join([]string{b.Addr().String()}); err != nil {
		t.Fatal(err)
	}
	for _, p := range []*Port{a, b} {
		eventually(t, "two members", func() bool { return lists[p].NumMembers() == 2 })
	}
	eventually(t, "a probe by packets", func() bool { return b.Counters().Packets > 0 && a.Counters().Packets > 0 })
	if err := lists[a].Leave(patience); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the leave", func() bool { return lists[b].NumMembers() == 1 })
}

// Raft's own transport, with a snapshot that is larger than any bound of the
// port.
func TestRaftTransportOverThePort(t *testing.T) {
	a, b := pair(t, echo())
	transports := map[*Port]*raft.NetworkTransport{}
	for _, p := range []*Port{a, b} {
		transports[p] = raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
			Stream: p.Raft(), MaxPool: 3, MaxRPCsInFlight: 1, Timeout: 2 * time.Second, Logger: hclog.NewNullLogger(),
		})
		t.Cleanup(func() {
			if err := transports[p].Close(); err != nil {
				t.Errorf("close raft's transport: %v", err)
			}
		})
	}
	if got := transports[a].LocalAddr(); got != alice {
		t.Errorf("raft calls itself %q", got)
	}
	snapshot := bytes.Repeat([]byte("evenkeel"), 1<<20)
	served := make(chan error, 1)
	go func() { served <- serve(transports[b], snapshot) }()

	var vote raft.RequestVoteResponse
	if err := transports[a].RequestVote(bob, bob, &raft.RequestVoteRequest{Term: 7}, &vote); err != nil || vote.Term != 7 {
		t.Fatalf("got %+v, %v", vote, err)
	}
	var installed raft.InstallSnapshotResponse
	request := &raft.InstallSnapshotRequest{Size: int64(len(snapshot))}
	if err := transports[a].InstallSnapshot(bob, bob, request, &installed, bytes.NewReader(snapshot)); err != nil || !installed.Success {
		t.Fatalf("got %+v, %v", installed, err)
	}
	if err := take(t, served); err != nil {
		t.Fatal(err)
	}
}

// serve answers a vote and a snapshot.
func serve(transport *raft.NetworkTransport, snapshot []byte) error {
	vote := <-transport.Consumer()
	asked, ok := vote.Command.(*raft.RequestVoteRequest)
	if !ok {
		return fmt.Errorf("got a %T", vote.Command)
	}
	vote.Respond(&raft.RequestVoteResponse{Term: asked.Term}, nil)
	install := <-transport.Consumer()
	got, err := io.ReadAll(install.Reader)
	if err != nil || !bytes.Equal(got, snapshot) {
		err = fmt.Errorf("got %d bytes of snapshot, %v", len(got), err)
	}
	install.Respond(&raft.InstallSnapshotResponse{Success: err == nil}, nil)
	return err
}
