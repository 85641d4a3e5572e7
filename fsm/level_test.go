package fsm

import (
	"reflect"
	"strings"
	"testing"
)

// oldRegistry is a cluster at level 1 whose nodes run the newer build but for
// the last one.
func oldRegistry(t testing.TB) *registry {
	r := &registry{State: New(), t: t}
	r.must(Init{ClusterID: "c1", FeatureLevel: 1, Objects: DefaultObjects()})
	r.must(SetNode{Node{UID: "n1", Name: "n1", State: NodeAlive, FeatureLevel: FeatureLevel}})
	r.must(SetNode{Node{UID: "n2", Name: "n2", State: NodeDead, FeatureLevel: 1}})
	return r
}

func TestWhatAnOldNodeCannotReadIsRefusedUntilTheLevelRises(t *testing.T) {
	r := oldRegistry(t)
	put := Put{Name: "default", Spec: PoolSpec{Strategy: StrategyMaglev, PreferZone: true}}
	err := r.refused(CodeInvalid, put)
	if len(err.Faults) != 2 || err.Faults[0].Pointer != "/spec/strategy" || err.Faults[1].Pointer != "/spec/prefer_zone" ||
		!strings.Contains(err.Faults[1].Message, "run the newer build on all nodes first") {
		t.Errorf("faults %+v", err.Faults)
	}
	if before := r.CheckLevel(Command{Op: put}); before == nil || before.Error() != err.Error() {
		t.Errorf("before it is proposed the same put gets %v", before)
	}
	r.must(Put{Name: "default", Spec: PoolSpec{Strategy: StrategyRandom}})

	if err := r.refused(CodeInvalid, RaiseLevel{2}); !strings.Contains(err.Error(), `beyond node "n2"`) {
		t.Errorf("raised beyond an old node: %v", err)
	}
	r.must(SetNode{Node{UID: "n2", Name: "n2", State: NodeDead, FeatureLevel: 2}})
	version, digest := r.Version(), r.Digest()
	if raised := r.must(RaiseLevel{2}); !raised.Changed || r.FeatureLevel() != 2 || r.Version() == version || r.Digest() == digest {
		t.Errorf("raised: %+v, level %d, version %d after %d", raised, r.FeatureLevel(), r.Version(), version)
	}
	if again := r.must(RaiseLevel{2}); again.Changed {
		t.Error("raising to the same level changed something")
	}
	if lower := r.must(RaiseLevel{1}); lower.Changed || r.FeatureLevel() != 2 {
		t.Errorf("the level fell to %d", r.FeatureLevel())
	}
	if refs, ok := r.ChangedSince(version); !ok || len(refs) != 0 {
		t.Errorf("a raised level changed %v, %v", refs, ok)
	}
	if err := r.CheckLevel(Command{Op: put}); err != nil {
		t.Error(err)
	}
	r.must(put)
	if restored := throughSnapshot(t, r.State); restored.FeatureLevel() != 2 || restored.Digest() != r.Digest() {
		t.Errorf("restored at level %d", restored.FeatureLevel())
	}
}

func TestTheFirstObjectsOfAClusterFollowItsLevelToo(t *testing.T) {
	r := &registry{State: New(), t: t}
	objects := []Put{{Name: "p", Spec: PoolSpec{Strategy: StrategyPeakEWMA}}}
	err := r.refused(CodeInvalid, Init{ClusterID: "c", FeatureLevel: 1, Objects: objects})
	if err.Faults[0].Pointer != "/objects/0/spec/strategy" {
		t.Errorf("faults %+v", err.Faults)
	}
	r.must(Init{ClusterID: "c", FeatureLevel: 2, Objects: objects})
}

func TestALevelOutOfRangeIsRefused(t *testing.T) {
	for _, level := range []uint64{0, FeatureLevel + 1} {
		if err := Validate(RaiseLevel{level}); err == nil || err.Faults[0].Pointer != "/level" {
			t.Errorf("level %d: %v", level, err)
		}
	}
}

// released are the fields of the specs that level 1 has.
var released = map[string]bool{
	"listener.Address": true, "listener.Protocol": true, "listener.TrustedProxies": true,
	"route.Listeners": true, "route.Match": true, "route.Match.Host": true, "route.Match.Path": true,
	"route.Match.PathPrefix": true, "route.Priority": true, "route.Pools": true,
	"pool.Strategy": true, "pool.Check.Type": true, "pool.Check.Path": true, "pool.Check.Interval": true, "pool.Check.Timeout": true,
	"pool.Check.Rise": true, "pool.Check.Fall": true, "pool.Check.Expect": true,
	"backend.Address": true, "backend.Weight": true, "backend.Tier": true, "backend.Zone": true, "backend.AdminState": true,
}

// TestEveryFieldThatLevel1LacksNeedsALaterOne sets each field of each spec for
// itself, so that none is forgotten that a later build adds.
func TestEveryFieldThatLevel1LacksNeedsALaterOne(t *testing.T) {
	tried := 0
	for _, spec := range []Spec{ListenerSpec{}, RouteSpec{}, PoolSpec{}, BackendSpec{}} {
		whole := reflect.New(reflect.TypeOf(spec)).Elem()
		try := func(name string, field reflect.Value) {
			field.Set(something(field.Type()))
			needs := uint64(1)
			for _, f := range whole.Interface().(Spec).newFields() {
				if f.used {
					needs = max(needs, f.level)
				}
			}
			if (needs == 1) != released[name] {
				t.Errorf("%s needs level %d", name, needs)
			}
			field.SetZero()
			tried++
		}
		for i := range whole.NumField() {
			name := string(spec.Kind()) + "." + whole.Type().Field(i).Name
			if name == "route.Match" || name == "pool.Check" {
				inner := whole.Field(i)
				if inner.Kind() == reflect.Pointer {
					inner.Set(reflect.New(inner.Type().Elem()))
					inner = inner.Elem()
				}
				for j := range inner.NumField() {
					try(name+"."+inner.Type().Field(j).Name, inner.Field(j))
				}
				continue
			}
			try(name, whole.Field(i))
		}
	}
	if tried < len(released)+20 {
		t.Errorf("only %d fields were tried", tried)
	}
}

// something returns a value that is not the zero one.
func something(t reflect.Type) reflect.Value {
	v := reflect.New(t).Elem()
	switch t.Kind() {
	case reflect.Pointer:
		v = reflect.New(t.Elem())
	case reflect.Slice:
		v = reflect.MakeSlice(t, 1, 1)
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	default:
		v.SetInt(1)
	}
	return v
}

func TestEveryStrategyButTheFirstFiveNeedsLevel2(t *testing.T) {
	for i, strategy := range Strategies() {
		used := PoolSpec{Strategy: strategy}.newFields()[0].used
		if used != (i >= 5) {
			t.Errorf("%s needs level 2: %t", strategy, used)
		}
	}
	if len(Strategies()) != 9 {
		t.Errorf("%d strategies", len(Strategies()))
	}
}

func TestTheStepsOfATransactionFollowTheLevelToo(t *testing.T) {
	r := newRegistryAt(t, levelProtocols-1)
	err := r.refused(CodeInvalid, txn(
		put(Put{Name: "db", Spec: ListenerSpec{Address: ":5432", Protocol: ProtocolTCP}}),
		put(Put{Name: "b", Spec: PoolSpec{Strategy: StrategyRandom}}),
		deletion(Delete{Ref: Ref{Kind: KindCertificate, Name: "site"}})))
	if len(err.Faults) != 2 || err.Faults[0].Pointer != "/steps/0/spec/protocol" || err.Faults[1].Pointer != "/steps/2/kind" {
		t.Errorf("faults %+v", err.Faults)
	}
	if r.Pool("b") != nil {
		t.Error("a part of it was done")
	}
}
