package fsm

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// encodeSlowly is EncodeCommand without what is written by hand.
func encodeSlowly(t interface{ Fatal(...any) }, c Command) []byte {
	put := c.Op.(Put)
	spec, err := json.Marshal(put.Spec)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(wirePut{Kind: put.Spec.Kind(), Pool: put.Pool, Name: put.Name, Labels: put.Labels, Spec: spec, If: put.If.wire()})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(envelope{V: codecVersion, ID: c.ID, Time: c.Time, Actor: c.Actor, Reason: c.Reason, Key: c.Key, Confirm: c.ConfirmWithin, Kind: "put", Data: data})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// decodeSlowly is DecodeCommand without what is read by hand.
func decodeSlowly(text []byte) (Command, error) {
	var e envelope
	if err := decodeStrict(text, &e); err != nil {
		return Command{}, err
	}
	op, err := decodeOperation(e.Kind, e.Data)
	return Command{ID: e.ID, Time: e.Time, Actor: e.Actor, Reason: e.Reason, Key: e.Key, ConfirmWithin: e.Confirm, Op: op}, err
}

func plainPut() Command {
	return Command{
		ID: CommandID{Origin: "node-1", Seq: 7}, Time: time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC), Actor: "admin@10.0.0.1",
		Op: Put{Pool: "web", Name: "web1", Labels: map[string]string{"app": "shop", "version": "v2"},
			Spec: BackendSpec{Address: "10.0.0.5:9000", Weight: 3, Zone: "a", AdminState: AdminReady, DrainTimeout: Duration(time.Minute)},
			If:   Precondition{Exists: true, Revision: 17}},
	}
}

func TestThePutOfABackendIsWrittenAndReadByHand(t *testing.T) {
	with := func(change func(*Command, *Put)) Command {
		c := plainPut()
		put := c.Op.(Put)
		change(&c, &put)
		c.Op = put
		return c
	}
	for name, of := range map[string]struct {
		command Command
		byHand  bool
	}{
		"with what most have":            {plainPut(), true},
		"with a reason":                  {with(func(c *Command, _ *Put) { c.Reason = "the rack moves" }), true},
		"that creates":                   {with(func(_ *Command, p *Put) { p.If = Precondition{Absent: true} }), true},
		"with nothing":                   {Command{Op: Put{Spec: BackendSpec{}}, Time: time.Time{}.UTC()}, true},
		"with an actor that is escaped":  {with(func(c *Command, _ *Put) { c.Actor = `a"b` }), false},
		"with a label that is escaped":   {with(func(_ *Command, p *Put) { p.Labels["x"] = "a\\b" }), false},
		"with a key":                     {with(func(c *Command, _ *Put) { c.Key = Key{Name: "k", Request: "r"} }), false},
		"that is to be confirmed":        {with(func(c *Command, _ *Put) { c.ConfirmWithin = Duration(time.Minute) }), false},
		"that is limited to labels":      {with(func(_ *Command, p *Put) { p.If.Labels = map[string]string{"app": "shop"} }), false},
		"with a time of another zone":    {with(func(c *Command, _ *Put) { c.Time = c.Time.In(time.FixedZone("", 3600)) }), false},
		"with a weight below 0":          {with(func(_ *Command, p *Put) { p.Spec = BackendSpec{Weight: -1} }), true},
		"with a span that has no ASCII":  {with(func(_ *Command, p *Put) { p.Spec = BackendSpec{TTL: 1500} }), false},
		"of a pool and not of a backend": {with(func(_ *Command, p *Put) { p.Spec = PoolSpec{} }), false},
	} {
		if _, ok := appendPut(nil, &of.command); ok != of.byHand {
			t.Errorf("a put %s: by hand is %v", name, ok)
		}
		checkCommandJSON(t, of.command)
	}
}

// checkCommandJSON compares what is done by hand with encoding/json.
func checkCommandJSON(t interface {
	Fatal(...any)
	Fatalf(string, ...any)
}, c Command) {
	want := encodeSlowly(t, c)
	got, err := EncodeCommand(c)
	if err != nil || string(got) != string(want) {
		t.Fatalf("it is written as\n%s\nand by encoding/json as\n%s: %v", got, want, err)
	}
	slowly, slowErr := decodeSlowly(want)
	read, err := DecodeCommand(want)
	if (err == nil) != (slowErr == nil) || err == nil && !reflect.DeepEqual(read, slowly) {
		t.Fatalf("%s is read as\n%+v, and by encoding/json as\n%+v: %v, %v", want, read, slowly, err, slowErr)
	}
}

func TestAnyPutIsWrittenAndReadAsEncodingJSONDoes(t *testing.T) {
	text := rapid.OneOf(rapid.StringN(0, 8, -1), rapid.StringMatching(`[ -~]{0,8}`), rapid.StringMatching(`[a-z0-9.:-]{0,8}`))
	rapid.Check(t, func(t *rapid.T) {
		checkCommandJSON(t, Command{
			ID:    CommandID{text.Draw(t, "origin"), rapid.Uint64().Draw(t, "seq")},
			Time:  time.Unix(rapid.Int64Range(-1<<35, 1<<37).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).UTC(),
			Actor: text.Draw(t, "actor"), Reason: text.Draw(t, "reason"),
			Op: Put{Pool: text.Draw(t, "pool"), Name: text.Draw(t, "name"), Labels: rapid.MapOfN(text, text, 0, 3).Draw(t, "labels"),
				Spec: BackendSpec{Address: text.Draw(t, "address"), Weight: rapid.Int().Draw(t, "weight"), Tier: rapid.Int().Draw(t, "tier"),
					Zone: text.Draw(t, "zone"), AdminState: AdminState(text.Draw(t, "state")), DrainTimeout: Duration(rapid.Int64().Draw(t, "drain"))},
				If: Precondition{Absent: rapid.Bool().Draw(t, "absent"), Exists: rapid.Bool().Draw(t, "exists"), Revision: rapid.Uint64().Draw(t, "revision")}},
		})
	})
}

// FuzzCommandJSON: whatever is read by hand is what encoding/json reads, alone and
// in an entry.
func FuzzCommandJSON(f *testing.F) {
	f.Add(encodeSlowly(f, plainPut()))
	f.Add(encodeSlowly(f, Command{Op: Put{Spec: BackendSpec{}}}))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, length := new(commandReader).read(text)
		if length == 0 {
			return
		}
		want, err := decodeSlowly(text[:length])
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%s is read as\n%+v, and by encoding/json as\n%+v: %v", text[:length], got, want, err)
		}
		entry, err := DecodeEntry(EncodeEntry([][]byte{text[:length], text[:length]}))
		if err != nil || !reflect.DeepEqual(entry, []Command{got, got}) {
			t.Fatalf("twice in an entry it is read as %+v: %v", entry, err)
		}
	})
}
