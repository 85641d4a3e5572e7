package manifest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"evenkeel/fsm"
	"evenkeel/httpapi/manifest"
)

// cluster is a state with the writes that made it.
type cluster struct {
	state *fsm.State
	seq   uint64
}

func newCluster(t rapid.TB, puts ...fsm.Put) *cluster {
	pool := fsm.PoolSpec{}
	pool.SetDefaults()
	c := &cluster{state: fsm.New()}
	c.apply(t, fsm.Init{ClusterID: "c", FeatureLevel: fsm.FeatureLevel, Objects: []fsm.Put{{Name: "z-first", Spec: pool}}})
	for _, put := range puts {
		c.apply(t, put)
	}
	return c
}

func (c *cluster) apply(t rapid.TB, op fsm.Operation) {
	if err := c.try(op); err != nil {
		t.Fatalf("%T: %v", op, err)
	}
}

func (c *cluster) try(op fsm.Operation) *fsm.Error {
	c.seq++
	next, results := fsm.Apply(c.state, []fsm.Command{{ID: fsm.CommandID{Origin: "n", Seq: c.seq}, Actor: "test", Op: op}})
	c.state = next
	return results[0].Err
}

func plan(t rapid.TB, c *cluster, text string, options manifest.PlanOptions) *manifest.Plan {
	m, faults := manifest.Parse([]byte(text), manifest.Options{})
	if len(faults) > 0 {
		t.Fatalf("%s", describe(faults))
	}
	p, faults := m.Plan(c.state, options)
	if len(faults) > 0 {
		t.Fatalf("%s", describe(faults))
	}
	return p
}

func steps(p *manifest.Plan) []string {
	list := []string{}
	for i, step := range p.Steps {
		word := "put"
		if step.Delete != nil {
			word = fmt.Sprintf("delete at %d", step.Delete.If.Revision)
		}
		list = append(list, word+" "+step.Ref().String())
		if change := p.Diff.Changes[i]; change.Ref() != step.Ref() || (change.After == nil) != (step.Delete != nil) {
			list = append(list, fmt.Sprintf("which the diff tells as %v", change))
		}
	}
	return list
}

func TestAPlanLeadsToTheManifestAndThenToNothing(t *testing.T) {
	c := newCluster(t)
	p := plan(t, c, lists, manifest.PlanOptions{})
	want := []string{"put pool web", "put listener web", "put route all", "put backend web/web1", "put backend web/web2", "put backend web/spare"}
	if d := cmp.Diff(want, steps(p)); d != "" {
		t.Error("(-want +got):\n" + d)
	}
	c.apply(t, p.Operation())
	p = plan(t, c, lists, manifest.PlanOptions{Prune: true})
	if len(p.Steps) > 0 || p.Diff.Unchanged != 6 || p.Diff.Owner != "shop" || p.Diff.Revision != c.state.Revision() {
		t.Errorf("again: %v, %+v", steps(p), p.Diff)
	}
}

func TestOnlyWhatDiffersIsWritten(t *testing.T) {
	c := newCluster(t)
	c.apply(t, plan(t, c, lists, manifest.PlanOptions{}).Operation())
	p := plan(t, c, strings.Replace(lists, "weight: 2", "weight: 3", 1), manifest.PlanOptions{Prune: true})
	if d := cmp.Diff([]string{"put backend web/web2"}, steps(p)); d != "" || p.Diff.Unchanged != 5 {
		t.Errorf("%d unchanged, (-want +got):\n%s", p.Diff.Unchanged, d)
	}
	if fields := p.Diff.Changes[0].Fields; len(fields) != 1 || fields[0].Pointer != "/spec/weight" || string(fields[0].After) != "3" {
		t.Errorf("%+v", fields)
	}
}

func TestPruneDeletesWhatTheOwnerHasAlone(t *testing.T) {
	c := newCluster(t)
	c.apply(t, plan(t, c, lists, manifest.PlanOptions{}).Operation())
	c.apply(t, plan(t, c, "{kind: pool, name: other, owner: else}\n---\n{kind: pool, name: nobodys, labels: {evenkeel.owner: else}}", manifest.PlanOptions{}).Operation())
	shop := c.state.Pool("web").Meta.Revision
	p := plan(t, c, "owner: shop\npools: [{name: new}]", manifest.PlanOptions{Prune: true})
	at := func(ref string) string { return fmt.Sprintf("delete at %d %s", shop, ref) }
	want := []string{at("backend web/spare"), at("backend web/web1"), at("backend web/web2"), at("route all"), "put pool new", at("listener web"), at("pool web")}
	if d := cmp.Diff(want, steps(p)); d != "" {
		t.Error("(-want +got):\n" + d)
	}
	stale := p.Operation()
	c.apply(t, p.Operation())
	if c.state.Pool("other") == nil || c.state.Pool("nobodys") == nil || c.state.Pool("web") != nil {
		t.Error("the wrong objects were deleted")
	}
	if err := c.try(stale); err == nil || err.Code != fsm.CodePrecondition {
		t.Errorf("again: %v", err)
	}
}

func TestAnOwnerThatIsSaidBesideLabelsAndPrunes(t *testing.T) {
	c := newCluster(t)
	c.apply(t, plan(t, c, "pools: [{name: a}, {name: b}]", manifest.PlanOptions{Owner: "shop"}).Operation())
	p := plan(t, c, "pools: [{name: a}]", manifest.PlanOptions{Owner: "shop", Prune: true})
	if d := cmp.Diff([]string{fmt.Sprintf("delete at %d pool b", c.state.Revision())}, steps(p)); d != "" {
		t.Error("(-want +got):\n" + d)
	}
}

func TestWhatStandsAgainstAPlanHasItsPlace(t *testing.T) {
	c := newCluster(t)
	c.apply(t, plan(t, c, lists, manifest.PlanOptions{}).Operation())
	for name, c2 := range map[string]struct {
		text    string
		options manifest.PlanOptions
		want    []string
	}{
		"references to what is not there": {
			"routes:\n- name: r\n  listeners: [web, nowhere]\n  pools:\n  - {name: nothing}\n  mirror: {pool: none}\nbackends:\n- {name: b, pool: missing, address: 'a:1'}",
			manifest.PlanOptions{},
			[]string{
				"3:20: /routes/0/listeners/1: listener nowhere does not exist", "5:6: /routes/0/pools/0/name: pool nothing does not exist",
				"6:12: /routes/0/mirror/pool: pool none does not exist", "8:13: /backends/0/pool: pool missing does not exist",
			},
		},
		"a reference to what is pruned": {
			"owner: shop\nroutes: [{name: r, pools: [{name: web}]}]", manifest.PlanOptions{Prune: true}, []string{"2:29: /routes/0/pools/0/name: pool web does not exist"},
		},
		"pruning without an owner":  {"pools: []", manifest.PlanOptions{Prune: true}, []string{"to prune needs an owner"}},
		"an owner that contradicts": {"owner: a", manifest.PlanOptions{Owner: "b"}, []string{`the manifest says that its owner is "a", not "b"`}},
		"a label that contradicts":  {"pools: [{name: p, labels: {evenkeel.owner: a}}]", manifest.PlanOptions{Owner: "b"}, []string{`1:28: /pools/0/labels/evenkeel.owner: "a" is not the owner`}},
		"an owner that is too long": {"pools: []", manifest.PlanOptions{Owner: strings.Repeat("x", 257)}, []string{"the owner has 257 bytes"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, faults := parse(t, c2.text).Plan(c.state, c2.options)
			ok := len(faults) == len(c2.want)
			for i := 0; ok && i < len(faults); i++ {
				ok = strings.HasPrefix(faults[i].String(), c2.want[i])
			}
			if !ok {
				t.Errorf("got:\n%s\nwant:\n%s", describe(faults), strings.Join(c2.want, "\n"))
			}
		})
	}
}

func TestAPruneThatOthersNeedIsRefused(t *testing.T) {
	c := newCluster(t)
	c.apply(t, plan(t, c, "owner: shop\npools: [{name: p}]", manifest.PlanOptions{}).Operation())
	c.apply(t, plan(t, c, "backends: [{name: b, pool: p, address: 'a:1'}]", manifest.PlanOptions{}).Operation())
	_, faults := parse(t, "owner: shop").Plan(c.state, manifest.PlanOptions{Prune: true})
	if len(faults) != 1 || !strings.HasPrefix(faults[0].String(), "pool p is not in the manifest and would be deleted, but backend p/b needs it") {
		t.Errorf("%s", describe(faults))
	}
}

func TestARefusalOfTheRegistryHasItsPlace(t *testing.T) {
	c := newCluster(t)
	c.apply(t, plan(t, c, "pools: [{name: p, backends: [{name: a, address: 'x:1'}]}]", manifest.PlanOptions{}).Operation())
	p := plan(t, c, "backends:\n- name: b\n  pool: p\n  address: x:1", manifest.PlanOptions{})
	refusal := c.try(p.Operation())
	if refusal == nil {
		t.Fatal("the registry took two backends of one address")
	}
	faults := p.Faults(refusal)
	if len(faults) != 1 || !strings.HasPrefix(faults[0].String(), `4:3: /backends/0/address: "x:1" is the address of backend p/a already`) || faults[0].Code != fsm.CodeDuplicate {
		t.Errorf("%s", describe(faults))
	}
}

// TestAnyPlanIsTakenAndDone: what is planned for a state is what the registry
// takes, and nothing is left to do.
func TestAnyPlanIsTakenAndDone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newCluster(t)
		for range 3 {
			var text strings.Builder
			if err := manifest.Write(&text, registry(t), manifest.YAML); err != nil {
				t.Fatal(err)
			}
			m, faults := manifest.Parse([]byte(text.String()), manifest.Options{Owner: "o"})
			if len(faults) > 0 {
				continue // a label says otherwise
			}
			p, faults := m.Plan(c.state, manifest.PlanOptions{Prune: true})
			if len(faults) > 0 {
				continue // a reference to what is not there
			}
			if len(p.Steps) > 0 {
				c.apply(t, p.Operation())
			}
			if p, faults = m.Plan(c.state, manifest.PlanOptions{Prune: true}); len(faults) > 0 || len(p.Steps) > 0 {
				t.Fatalf("left to do: %v %v", faults, steps(p))
			}
		}
	})
}
