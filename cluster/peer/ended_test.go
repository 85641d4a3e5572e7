package peer

import (
	"log/slog"
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
