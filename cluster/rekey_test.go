package cluster

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"evenkeel/cluster/secret"
	"evenkeel/fsm"
)

func ringOf(t testing.TB, secrets ...string) *secret.Ring {
	t.Helper()
	ring, err := secret.Parse([]byte(strings.Join(secrets, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func httpsListener() fsm.Put {
	return fsm.Put{Name: "web", Spec: fsm.ListenerSpec{Address: ":443", Protocol: fsm.ProtocolHTTPS}}
}

// turn has the leader of the ledger do what is due, at most that often, and returns
// how often it was.
func (l *ledger) turn(r *rotation, now time.Time) (turns int) {
	l.t.Helper()
	for {
		r.follow(l.State, now)
		op, _, err := r.next(l.State, now)
		if err != nil {
			l.t.Fatal(err)
		}
		if op == nil {
			return turns
		}
		if turns++; turns > 5 {
			l.t.Fatalf("it goes on with %+v", op)
		}
		l.do(op)
	}
}

func TestTheLeaderGivesTheRegistryItsKeys(t *testing.T) {
	now := time.Now()
	keys := newKeys(ringOf(t, secret.New()))
	r := &rotation{keys: keys, every: ticketsEvery}
	l := &ledger{State: fsm.New(), t: t}
	l.turn(r, now)
	l.do(fsm.Init{ClusterID: "c", FeatureLevel: 5, Objects: fsm.DefaultObjects()})
	if l.turn(r, now); l.DataKey() != nil {
		t.Fatal("below the level it has a key")
	}
	if _, err := keys.Seal(l.State, "c", "x"); err == nil || !strings.Contains(err.Error(), "start the newer build on all nodes") {
		t.Errorf("%v", err)
	}
	l.do(fsm.RaiseLevel{Level: fsm.FeatureLevel})
	if turns := l.turn(r, now); turns != 1 || l.DataKey() == nil || len(l.Tickets()) != 0 {
		t.Fatalf("%d commands, %+v, %d tickets", turns, l.DataKey(), len(l.Tickets()))
	}
	l.do(httpsListener())
	if turns := l.turn(r, now); turns != 1 || len(l.Tickets()) != 1 {
		t.Fatalf("with a listener %d commands, %d tickets", turns, len(l.Tickets()))
	}
	if secrets, err := keys.TicketKeys(l.State); err != nil || len(secrets) != 1 || len(secrets[0]) != ticketKeyLength {
		t.Errorf("%d keys of tickets, %v", len(secrets), err)
	}
}

func TestKeysOfTicketsRotateInTimeWhoeverLeads(t *testing.T) {
	now := time.Now()
	keys := newKeys(ringOf(t, secret.New()))
	first, second := &rotation{keys: keys, every: ticketsEvery}, &rotation{keys: keys, every: ticketsEvery}
	l := newLedger(t)
	l.do(httpsListener())
	l.turn(first, now)
	second.follow(l.State, now)
	_, within, _ := first.next(l.State, now.Add(time.Hour))
	if within != ticketsEvery-time.Hour {
		t.Errorf("the next is due in %s", within)
	}
	for range 4 { // in turn
		first, second = second, first
		before := l.Tickets()[0].ID
		if turns := l.turn(first, now.Add(ticketsEvery-1)); turns != 0 {
			t.Fatal("it rotates early")
		}
		now = now.Add(ticketsEvery)
		if turns := l.turn(first, now); turns != 1 || l.Tickets()[0].ID == before {
			t.Fatalf("%d commands", turns)
		}
		second.follow(l.State, now)
	}
	secrets, err := keys.TicketKeys(l.State)
	if err != nil || len(secrets) != 3 || bytes.Equal(secrets[0], secrets[1]) {
		t.Errorf("%d keys, %v", len(secrets), err)
	}
	l.do(fsm.Delete{Ref: httpsListener().Ref()})
	if turns := l.turn(first, now.Add(2*ticketsEvery)); turns != 0 {
		t.Error("it rotates where nobody resumes a session")
	}
}

// wrappedUnder are the secrets that the state's data key is wrapped under.
func wrappedUnder(s *fsm.State) map[string]bool {
	ids := map[string]bool{}
	if key := s.DataKey(); key != nil {
		for _, wrap := range key.Wraps {
			ids[wrap.Secret] = true
		}
	}
	return ids
}

func TestTheDataKeyFollowsTheSecrets(t *testing.T) {
	old, next := secret.New(), secret.New()
	oldID, nextID := ringOf(t, old).IDs()[0], ringOf(t, next).IDs()[0]
	l, now := newLedger(t), time.Now()
	l.turn(&rotation{keys: newKeys(secret.Loopback())}, now)
	id := l.DataKey().ID
	for _, step := range []struct {
		of    string
		ring  *secret.Ring
		under []string
	}{
		{"the first secret after none", ringOf(t, old), []string{oldID}},
		{"one is added", ringOf(t, old, next), []string{oldID, nextID}},
		{"a node without it leads", ringOf(t, old), []string{oldID}},
		{"a node with it leads", ringOf(t, old, next), []string{oldID, nextID}},
		{"it is the first", ringOf(t, next, old), []string{oldID, nextID}},
		{"the old one is retired", ringOf(t, next), []string{nextID}},
		{"a node that still has it leads", ringOf(t, next, old), []string{oldID, nextID}},
		{"at last nobody has it", ringOf(t, next), []string{nextID}},
	} {
		l.turn(&rotation{keys: newKeys(step.ring)}, now)
		under := wrappedUnder(l.State)
		for _, id := range step.under {
			if !under[id] {
				t.Errorf("%s: not wrapped under %s", step.of, id)
			}
		}
		if len(under) != len(step.under) || l.DataKey().ID != id {
			t.Errorf("%s: wrapped under %v", step.of, under)
		}
	}

	stranger := newKeys(ringOf(t, secret.New()))
	if op, _, err := (&rotation{keys: stranger}).next(l.State, now); op != nil || err == nil {
		t.Errorf("who cannot open it proposes %+v, %v", op, err)
	}
	if _, err := stranger.Seal(l.State, "c", "x"); err == nil || !strings.Contains(err.Error(), "a further line of its secret file") {
		t.Errorf("%v", err)
	}
}

func TestAPrivateKeyIsThatOfItsCertificate(t *testing.T) {
	keys := newKeys(ringOf(t, secret.New()))
	l := newLedger(t)
	l.turn(&rotation{keys: keys}, time.Now())
	sealed, err := keys.SealPrivateKey(l.State, "site", "PEM")
	if err != nil {
		t.Fatal(err)
	}
	c := &fsm.Certificate{Name: "site", Spec: fsm.CertificateSpec{SealedKey: sealed}}
	if got, err := keys.PrivateKey(l.State, c); err != nil || got != "PEM" {
		t.Errorf("it opens as %q, %v", got, err)
	}
	c.Name = "other"
	if _, err := keys.PrivateKey(l.State, c); err == nil || !strings.Contains(err.Error(), "certificate/other") {
		t.Errorf("the key of another certificate is opened: %v", err)
	}
}

// opens waits until every node opens the text with the data key of that ID.
func (c *testCluster) opens(id, sealed string) {
	c.t.Helper()
	for _, n := range c.nodes {
		eventually(c.t, "node "+n.Name()+" opens what was sealed", func() bool {
			s := n.State()
			plain, err := n.Keys().Open(s, "c", sealed)
			return err == nil && plain == "private text" && s.DataKey().ID == id
		})
	}
}

func (c *testCluster) sealed(n *testNode) (id, sealed string) {
	c.t.Helper()
	eventually(c.t, "there is a data key", func() bool {
		var err error
		sealed, err = n.Keys().Seal(n.State(), "c", "private text")
		return err == nil
	})
	return n.State().DataKey().ID, sealed
}

// What was sealed once is opened throughout the three rounds that replace the secret,
// by every node, with the data key of the beginning.
func TestTheSecretIsReplacedUnderWhatIsSealed(t *testing.T) {
	old, next := secret.New(), secret.New()
	c := newTestCluster(t)
	c.secrets = ringOf(t, old)
	nodes := c.form(3)
	id, sealed := c.sealed(nodes[0])
	c.opens(id, sealed)
	c.kill(c.leader().Name())
	c.opens(id, sealed) // the next leader makes no second one
	for _, round := range [][]string{{old, next}, {next, old}, {next}} {
		c.secrets = ringOf(t, round...)
		for _, name := range []string{"n1", "n2", "n3"} {
			if c.nodes[name] != nil {
				c.stop(name)
			}
			c.settled(c.start(c.config(name, c.joins()...)))
			c.opens(id, sealed)
		}
		want := len(round)
		eventually(t, "the data key is wrapped under this round's secrets", func() bool {
			under := wrappedUnder(c.leader().State())
			return len(under) == want && under[c.secrets.IDs()[0]] && under[c.secrets.IDs()[want-1]]
		})
	}
	if again, err := c.leader().Keys().Seal(c.leader().State(), "c", "private text"); err != nil || again != sealed {
		t.Errorf("the same is sealed to something else, %v", err)
	}
	if log := c.logs.String(); strings.Contains(log, "private text") || strings.Contains(log, old) || strings.Contains(log, next) {
		t.Error("the log has what nobody should read")
	}
}

func TestKeysOutliveSnapshotAndReplay(t *testing.T) {
	c := newTestCluster(t)
	c.opened = func(n *Node) { n.ticketsEvery = 300 * time.Millisecond }
	n := c.form(1)[0]
	id, sealed := c.sealed(n)
	c.put(n, httpsListener())
	newest := func() string {
		if all := n.State().Tickets(); len(all) > 0 {
			return all[0].ID
		}
		return ""
	}
	eventually(t, "there is a key of tickets", func() bool { return newest() != "" })
	if err := n.consensus.Load().raft.Snapshot().Error(); err != nil {
		t.Fatal(err)
	}
	last := newest()
	eventually(t, "it is replaced three times", func() bool { return len(n.State().Tickets()) == 3 && n.State().Tickets()[2].ID != last })
	c.stop("n1")
	c.opened = nil // from now on no other comes
	n = c.start(c.config("n1"))
	c.settled(n)
	c.opens(id, sealed)
	if secrets, err := n.Keys().TicketKeys(n.State()); err != nil || len(secrets) != 3 {
		t.Errorf("%d keys of tickets, %v", len(secrets), err)
	}
}

func TestKeysOfAnotherClusterAreSealedAnew(t *testing.T) {
	one, other := secret.New(), secret.New()
	registry := func(keys *Keys) *ledger {
		l := &ledger{State: fsm.New(), t: t}
		l.do(fsm.Init{ClusterID: "c", FeatureLevel: fsm.FeatureLevel, Objects: fsm.DefaultObjects()})
		l.turn(&rotation{keys: keys, every: ticketsEvery}, time.Now())
		return l
	}
	from := registry(newKeys(ringOf(t, one)))
	sealed, err := newKeys(ringOf(t, one)).SealPrivateKey(from.State, "site", "the key")
	if err != nil {
		t.Fatal(err)
	}
	certificate := &fsm.Certificate{Name: "site", Spec: fsm.CertificateSpec{SealedKey: sealed}}
	for name, ring := range map[string]*secret.Ring{"the same secret": ringOf(t, one), "a further line": ringOf(t, other, one)} {
		keys := newKeys(ring)
		into := registry(keys)
		reseal, err := keys.Reseal(into.State, from.State)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		anew, err := reseal(certificate)
		if err != nil || anew == sealed {
			t.Fatalf("%s: %v", name, err)
		}
		if plain, err := keys.PrivateKey(into.State, &fsm.Certificate{Name: "site", Spec: fsm.CertificateSpec{SealedKey: anew}}); plain != "the key" {
			t.Errorf("%s: %q, %v", name, plain, err)
		}
		if _, err := reseal(&fsm.Certificate{Name: "else", Spec: certificate.Spec}); err == nil {
			t.Errorf("%s: a key of another certificate was taken", name)
		}
		if reseal, err = keys.Reseal(from.State, from.State); err != nil {
			t.Fatal(err)
		}
		if same, err := reseal(certificate); same != sealed || err != nil {
			t.Errorf("%s: what is the cluster's own was sealed anew, %v", name, err)
		}
	}
	stranger := newKeys(ringOf(t, other))
	into := registry(stranger)
	if _, err := stranger.Reseal(into.State, from.State); err == nil || errors.Is(err, ErrCannotSeal) || !strings.Contains(err.Error(), "wrapped under the secrets") {
		t.Errorf("without the secret: %v", err)
	}
	if _, err := stranger.Reseal(fsm.New(), from.State); !errors.Is(err, ErrCannotSeal) {
		t.Errorf("without an own data key: %v", err)
	}
	if _, err := stranger.Reseal(into.State, fsm.New()); err == nil {
		t.Error("without a data key of the other's")
	}
}
