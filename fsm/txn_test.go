package fsm

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func put(p Put) Step          { return Step{Put: &p} }
func deletion(d Delete) Step  { return Step{Delete: &d} }
func txn(steps ...Step) Txn   { return Txn{Steps: steps} }
func backendRef(n string) Ref { return Ref{Kind: KindBackend, Pool: "default", Name: n} }
func routeTo(n, p string) Put { return Put{Name: n, Spec: route(n, p).Spec.(RouteSpec)} }
func tokenPut(name, h string) Put {
	return Put{Name: name, Spec: TokenSpec{Role: RoleViewer, Hash: strings.Repeat(h, 64)}}
}

func TestATransactionIsOneRevisionWhateverTheOrderOfItsSteps(t *testing.T) {
	steps := []Step{
		put(pool("a")), put(routeTo("r", "a")), put(tokenPut("t", "a")),
		put(Put{Pool: "a", Name: "web1", Spec: backend("web1", "10.0.0.5:80").Spec}),
		deletion(Delete{Ref: Ref{Kind: KindRoute, Name: "default"}}), deletion(Delete{Ref: Ref{Kind: KindPool, Name: "default"}}),
		deletion(Delete{Ref: Ref{Kind: KindListener, Name: "default"}}),
	}
	var content string
	for range 20 {
		rand.Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
		r := newRegistry(t)
		revision, version := r.Revision(), r.Version()
		result := r.must(txn(steps...))
		if r.Revision() != revision+1 || r.Version() != version+1 || !result.Changed || result.Created {
			t.Fatalf("revision %d after %d, version %d after %d, %+v", r.Revision(), revision, r.Version(), version, result)
		}
		for i, step := range steps {
			got := result.Steps[i]
			if got.Ref != step.Ref() || !got.Changed || got.Created != (step.Put != nil) || (got.Object == nil) != (step.Put == nil) {
				t.Errorf("step %s: %+v", step.Ref(), got)
			}
			if object := r.Object(step.Ref()); step.Put == nil && object != nil || step.Put != nil && object.GetMeta().Revision != r.Revision() {
				t.Errorf("%s is %+v", step.Ref(), object)
			}
		}
		if text := contentOf(r.State); content == "" {
			content = text
		} else if text != content {
			t.Fatalf("in the order %v it leads to\n%s\nand in another to\n%s", steps, text, content)
		}
		if entry := r.RevisionAt(r.Revision()); entry.Kind != DoneTxn || entry.Count != len(steps) {
			t.Errorf("entry %+v", entry)
		}
	}
}

func TestBackendsSwapTheirAddressesInATransaction(t *testing.T) {
	r := newRegistry(t)
	r.must(backend("a", "10.0.0.1:80"))
	r.must(backend("b", "10.0.0.2:80"))
	r.must(backend("c", "10.0.0.3:80"))
	r.must(txn(put(backend("a", "10.0.0.2:80")), put(backend("b", "10.0.0.1:80")), deletion(Delete{Ref: backendRef("c")}), put(backend("d", "10.0.0.3:80"))))
	for address, name := range map[string]string{"10.0.0.1:80": "b", "10.0.0.2:80": "a", "10.0.0.3:80": "d"} {
		if b := r.BackendByAddress("default", address); b == nil || b.Name != name {
			t.Errorf("%s is of %+v", address, b)
		}
	}
	// One that stays as it is keeps its address.
	r.must(txn(put(backend("a", "10.0.0.2:80")), put(backend("e", "10.0.0.4:80"))))
	err := r.refused(CodeDuplicate, txn(put(backend("f", "10.0.0.2:80"))))
	if err.Other == nil || *err.Other != backendRef("a") || err.Faults[0].Pointer != "/steps/0/spec/address" {
		t.Errorf("%+v", err)
	}
}

func TestATransactionWithFaultyPartsChangesNothingAndNamesThemAll(t *testing.T) {
	r := newRegistry(t)
	r.must(backend("a", "10.0.0.1:80"))
	r.must(pool("used"))
	r.must(routeTo("r", "used"))
	broken := backend("w", "10.0.0.9:80")
	spec := broken.Spec.(BackendSpec)
	spec.Weight = -1
	broken.Spec = spec
	stale := backend("a", "10.0.0.8:80")
	stale.If = Precondition{Revision: 99}
	err := r.refused(CodePrecondition, txn(
		put(backend("good", "10.0.0.7:80")),
		put(stale),
		put(broken),
		put(Put{Pool: "nowhere", Name: "b", Spec: backend("b", "10.0.0.2:80").Spec}),
		put(routeTo("lost", "nowhere")),
		deletion(Delete{Ref: Ref{Kind: KindPool, Name: "used"}}),
		put(tokenPut("t", "x")),
		deletion(Delete{Ref: Ref{Kind: KindPool, Name: "absent"}, If: Precondition{Exists: true}}),
	))
	var got []string
	for _, fault := range err.Faults {
		got = append(got, fmt.Sprintf("%s %s", fault.Pointer, fault.Code))
	}
	slices.Sort(got)
	want := []string{"/steps/1 precondition", "/steps/2/spec/weight invalid", "/steps/3/pool not-found", "/steps/4/spec/pools/0/name invalid",
		"/steps/5 in-use", "/steps/6/spec/hash invalid", "/steps/7 precondition"}
	if !slices.Equal(got, want) {
		t.Errorf("faults\n%q, want\n%q", got, want)
	}
}

func TestAFaultOfOnePartIsNotToldOfOthersThatNeedIt(t *testing.T) {
	r := newRegistry(t)
	faulty := Put{Name: "a", Spec: PoolSpec{Strategy: "nonsense"}}
	err := r.refused(CodeInvalid, txn(put(faulty), put(routeTo("r", "a")), put(Put{Pool: "a", Name: "b", Spec: backend("b", "10.0.0.2:80").Spec})))
	if len(err.Faults) != 1 || err.Faults[0].Pointer != "/steps/0/spec/strategy" {
		t.Errorf("%+v", err)
	}
}

func TestTheFormOfATransactionIsChecked(t *testing.T) {
	r := newRegistry(t)
	both := Step{Put: &Put{Name: "a", Spec: pool("a").Spec}, Delete: &Delete{Ref: Ref{Kind: KindPool, Name: "a"}}}
	for name, c := range map[string]struct {
		op      Txn
		pointer string
	}{
		"no step":               {Txn{}, "/steps"},
		"too many":              {Txn{Steps: make([]Step, maxSteps+1)}, "/steps"},
		"neither":               {txn(Step{}), "/steps/0"},
		"both":                  {txn(put(pool("b")), both), "/steps/1"},
		"an object twice":       {txn(put(pool("a")), deletion(Delete{Ref: Ref{Kind: KindPool, Name: "a"}})), "/steps/1"},
		"a put without a spec":  {txn(put(Put{Name: "a"})), "/steps/0/spec"},
		"a name that is no one": {txn(put(pool("A b"))), "/steps/0/name"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := Validate(c.op); err == nil || err.Faults[0].Pointer != c.pointer {
				t.Errorf("%+v", err)
			}
			if c.op.Steps == nil || slices.ContainsFunc(c.op.Steps, func(s Step) bool { return s.Put != nil && s.Put.Spec == nil }) {
				return // it cannot be encoded
			}
			r.refused(CodeInvalid, c.op)
		})
	}
}

func TestATransactionThatChangesNothingIsNoRevision(t *testing.T) {
	r := newRegistry(t)
	r.must(backend("a", "10.0.0.1:80"))
	revision, version := r.Revision(), r.Version()
	result := r.must(txn(put(backend("a", "10.0.0.1:80")), deletion(Delete{Ref: backendRef("gone")})))
	if result.Changed || r.Revision() != revision || r.Version() != version || result.Steps[0].Changed || result.Steps[0].Object == nil {
		t.Errorf("%+v, revision %d after %d", result, r.Revision(), revision)
	}
}

func TestARegistryThatIsFullTakesATransactionThatMakesRoom(t *testing.T) {
	r := newRegistry(t)
	for i := range maxListeners - 1 {
		r.must(Put{Name: fmt.Sprintf("l%d", i), Spec: ListenerSpec{Address: fmt.Sprintf(":%d", 10_000+i), Protocol: ProtocolHTTP}})
	}
	more := Put{Name: "more", Spec: ListenerSpec{Address: ":9", Protocol: ProtocolHTTP}}
	r.refused(CodeLimit, txn(put(more)))
	r.must(txn(put(more), deletion(Delete{Ref: Ref{Kind: KindListener, Name: "l0"}})))
	r.refused(CodeLimit, Put{Name: "again", Spec: ListenerSpec{Address: ":10", Protocol: ProtocolHTTP}})
}

func TestFiveThousandObjectsFitOneCommand(t *testing.T) {
	var steps []Step
	for i := range 5000 {
		b := backend(fmt.Sprintf("web%d", i), fmt.Sprintf("10.%d.%d.%d:8080", i>>16, i>>8&255, i&255))
		b.Labels = map[string]string{"evenkeel.owner": "shop", "rack": fmt.Sprintf("r%d", i%40)}
		steps = append(steps, put(b))
	}
	data, err := EncodeCommand(Command{ID: CommandID{"n1", 1}, Op: Txn{Steps: steps}})
	if err != nil || len(data) > 200<<10 {
		t.Fatalf("%d bytes: %v", len(data), err)
	}
	command, err := DecodeCommand(data)
	if err != nil || len(command.Op.(Txn).Steps) != 5000 || command.Op.(Txn).Steps[4999].Put.Labels["rack"] != "r39" {
		t.Fatalf("read again: %v", err)
	}
	r := newRegistry(t)
	r.must(Txn{Steps: steps})
	if r.Count(KindBackend) != 5000 {
		t.Errorf("%d backends", r.Count(KindBackend))
	}
}

func TestStepsThatUnpackToTooMuchAreRefused(t *testing.T) {
	bomb, err := pack([]byte(`[{"put":null}` + strings.Repeat(" ", maxUnpacked) + "]"))
	if err != nil || len(bomb) > 1<<20 {
		t.Fatalf("%d bytes, %v", len(bomb), err)
	}
	for name, text := range map[string]string{
		"a bomb": string(bomb), "no deflate": `{"packed":"AAAA"}`, "an unknown field": `{"steps":[],"more":1}`,
		"both ways": `{"steps":[{}],"packed":"AwA="}`,
	} {
		var op Txn
		if err := op.UnmarshalJSON([]byte(text)); err == nil {
			t.Errorf("%s was read", name)
		}
	}
}

func TestAWriteIsLimitedToObjectsThatBearLabels(t *testing.T) {
	r := newRegistry(t)
	own := backend("own", "10.0.0.1:80")
	own.Labels = map[string]string{"team": "a", "x": "y"}
	r.must(own)
	r.must(backend("other", "10.0.0.2:80"))
	limit := Precondition{Labels: map[string]string{"team": "a"}}
	for name, op := range map[string]Operation{
		"put": Put{Pool: "default", Name: "other", Spec: own.Spec, If: limit}, "delete": Delete{backendRef("other"), limit},
		"override": SetOverride{Pool: "default", Name: "other", Health: HealthUp, If: limit},
		"txn":      txn(deletion(Delete{backendRef("other"), limit})),
	} {
		t.Run(name, func(t *testing.T) { r.refused(CodeForbidden, op) })
	}
	own.If = limit
	r.must(own)
	r.must(Put{Pool: "default", Name: "new", Labels: limit.Labels, Spec: backend("new", "10.0.0.3:80").Spec, If: limit})
	r.must(Delete{backendRef("own"), limit})
	r.must(Delete{backendRef("own"), limit})
}

func TestATokensHashIsItsOwnAndIsNotShown(t *testing.T) {
	r := newRegistry(t)
	made := r.must(tokenPut("ci", "a"))
	if r.TokenByHash(strings.Repeat("a", 64)) != made.Object.(*Token) || r.Count(KindToken) != 1 {
		t.Errorf("by its hash: %+v", r.TokenByHash(strings.Repeat("a", 64)))
	}
	r.refused(CodeDuplicate, tokenPut("other", "a"))
	r.must(tokenPut("ci", "b"))
	if r.TokenByHash(strings.Repeat("a", 64)) != nil || r.TokenByHash(strings.Repeat("b", 64)) == nil {
		t.Error("a token is found by the hash that it had")
	}
	shown := Shown(r.Token("ci")).(*Token)
	if shown.Spec.Hash != "" || r.Token("ci").Spec.Hash == "" || shown.Meta != r.Token("ci").Meta {
		t.Errorf("shown %+v", shown)
	}
	if Shown(nil) != nil || Shown(r.Pool("default")) != AnyObject(r.Pool("default")) {
		t.Error("what has no secret is shown otherwise")
	}
	r.must(Delete{Ref: Ref{Kind: KindToken, Name: "ci"}})
	if r.TokenByHash(strings.Repeat("b", 64)) != nil {
		t.Error("a deleted token is found")
	}
}

func TestRolesAllowWhatThoseBelowThemMay(t *testing.T) {
	for i, role := range Roles() {
		for j, needed := range Roles() {
			if role.Allows(needed) != (i >= j) {
				t.Errorf("%s allows %s: %t", role, needed, role.Allows(needed))
			}
		}
	}
	if Role("").Allows(RoleViewer) || Role("root").Allows(RoleViewer) || RoleAdmin.Allows("root") {
		t.Error("an unknown role counts")
	}
}

func TestTokensSwapTheirHashesInATransaction(t *testing.T) {
	r := newRegistry(t)
	r.must(tokenPut("a", "1"))
	r.must(tokenPut("b", "2"))
	r.must(tokenPut("c", "3"))
	r.must(txn(put(tokenPut("a", "2")), put(tokenPut("b", "1")), put(tokenPut("c", "3"))))
	for hash, name := range map[string]string{"2": "a", "1": "b", "3": "c"} {
		if token := r.TokenByHash(strings.Repeat(hash, 64)); token == nil || token.Name != name {
			t.Errorf("hash %s is of %+v", hash, token)
		}
	}
}

func TestAHashThatComesBackIsNobodyElses(t *testing.T) {
	r := newRegistry(t)
	r.must(tokenPut("a", "1"))
	r.await(tokenPut("a", "2"))
	r.refused(CodeDuplicate, tokenPut("b", "1"))
	r.must(Confirm{r.Pending()[0].Revision, true})
	if token := r.TokenByHash(strings.Repeat("1", 64)); token == nil || token.Name != "a" {
		t.Errorf("it is of %+v", token)
	}
}
