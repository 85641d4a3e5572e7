package peer

import (
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"
)

func TestConnectionForAPartThatHasEndedIsRefusedWithoutAWarning(t *testing.T) {
	var log logBook
	directory := &addresses{}
	a := node{uid: alice, secrets: oneSecret, directory: directory}.run(t)
	b := node{uid: bob, secrets: oneSecret, directory: directory, logger: slog.New(slog.NewTextHandler(&log, nil))}.run(t)
	if err := b.Raft().Close(); err != nil {
		t.Fatal(err)
	}
	if c, err := a.Raft().Dial(bob, time.Second); err == nil { // the handshake is over before b finds out
		defer c.Close()
	}
	refused(t, b, reasonEnded)
	if strings.Contains(log.String(), "level=WARN") {
		t.Errorf("the log warns: %s", log.String())
	}
}

// TestRaftMayBeginAgain after its end, and only the new layer is of use then.
func TestRaftMayBeginAgain(t *testing.T) {
	a, b := pair(t, echo())
	before := a.Raft()
	if err := before.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := before.Dial(bob, patience); !errors.Is(err, ErrUnreachable) {
		t.Errorf("a closed layer dialed: %v", err)
	}
	after := a.ReopenRaft()
	dialed, err := b.Raft().Dial(alice, patience)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := before.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a closed layer accepted: %v", err)
	}
	mustTalk(t, dialed, accept(t, after))
	dialed, err = after.Dial(bob, patience)
	if err != nil {
		t.Fatal(err)
	}
	mustTalk(t, dialed, accept(t, b.Raft()))
}
