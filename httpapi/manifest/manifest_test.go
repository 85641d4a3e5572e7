package manifest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"evenkeel/fsm"
	"evenkeel/httpapi/diff"
	"evenkeel/httpapi/manifest"
	"evenkeel/httpapi/strictyaml"
)

func parse(t testing.TB, text string) *manifest.Manifest {
	t.Helper()
	m, faults := manifest.Parse([]byte(text), manifest.Options{})
	if len(faults) > 0 {
		t.Fatalf("%s\n%s", text, describe(faults))
	}
	return m
}

func describe(faults []manifest.Fault) string {
	lines := make([]string, len(faults))
	for i, fault := range faults {
		lines[i] = fault.String()
	}
	return strings.Join(lines, "\n")
}

const lists = `
# the shop
owner: shop
listeners:
- name: web
  address: :8080
routes:
  - name: all
    labels: {team: "7"}
    match: {host: shop.example.com}
    pools: [{name: web}]
pools:
  - name: web
    strategy: least_connections
    check:
      type: http
      interval: 1s
    backends:
      - name: web1
        address: 10.0.0.1:80
      - {name: web2, address: "10.0.0.2:80", weight: 2}
backends:
  - name: spare
    pool: web
    spec: {address: "10.0.0.3:80", admin_state: maint}
`

// single is the same in the other form.
const single = `
kind: listener
owner: shop
name: web
spec: {address: ":8080"}
---
{kind: route, name: all, labels: {team: "7"}, match: {host: shop.example.com}, pools: [{name: web}]}
---
kind: pool
name: web
spec:
  strategy: least_connections
  check: {type: http, interval: 1s}
---
{kind: backend, pool: web, name: web1, address: "10.0.0.1:80", status: {health: up}, meta: {revision: 3}}
---
{kind: backend, pool: web, name: web2, spec: {address: "10.0.0.2:80", weight: 2}}
---
{kind: backend, pool: web, name: spare, spec: {address: "10.0.0.3:80", admin_state: maint}}
`

const asJSON = `{"owner": "shop",
	"listeners": [{"name": "web", "address": ":8080"}],
	"routes": [{"name": "all", "labels": {"team": "7"}, "spec": {"match": {"host": "shop.example.com"}, "pools": [{"name": "web"}]}}],
	"pools": [{"name": "web", "spec": {"strategy": "least_connections", "check": {"type": "http", "interval": "1s"}}, "backends": [
		{"name": "web1", "address": "10.0.0.1:80"}, {"name": "web2", "address": "10.0.0.2:80", "weight": 2}]}],
	"backends": [{"name": "spare", "pool": "web", "address": "10.0.0.3:80", "admin_state": "maint"}]}`

func TestAllFormsSayTheSame(t *testing.T) {
	want := sortedPuts(parse(t, lists))
	if len(want) != 6 {
		t.Fatalf("%d objects", len(want))
	}
	for _, put := range want {
		if put.Labels[manifest.OwnerLabel] != "shop" {
			t.Errorf("%s bears the labels %v", put.Ref(), put.Labels)
		}
	}
	for name, text := range map[string]string{"single objects": single, "JSON": asJSON} {
		if got := sortedPuts(parse(t, text)); !samePuts(got, want) {
			t.Errorf("%s:\n got %+v\nwant %+v", name, got, want)
		}
	}
	heavy := want[2].Spec.(fsm.BackendSpec)
	if want[2].Name != "web2" || heavy.Weight != 2 || heavy.AdminState != fsm.AdminReady || want[2].Pool != "web" {
		t.Errorf("%+v", want[2])
	}
}

func sortedPuts(m *manifest.Manifest) []fsm.Put {
	puts := m.Puts()
	slices.SortFunc(puts, func(a, b fsm.Put) int { return strings.Compare(a.Ref().String(), b.Ref().String()) })
	return puts
}

func samePuts(a, b []fsm.Put) bool {
	return slices.EqualFunc(a, b, func(a, b fsm.Put) bool {
		return a.Ref() == b.Ref() && diff.Same(diff.Planned(a), diff.Planned(b))
	})
}

func TestABackendGoesToTheDefaultPoolAsWithAPut(t *testing.T) {
	if put := parse(t, "backends: [{name: a, address: 'a:1'}]").Puts()[0]; put.Pool != manifest.DefaultPool {
		t.Errorf("pool %q", put.Pool)
	}
}

func TestAManifestOfNothingMustSaySo(t *testing.T) {
	for _, text := range []string{"{}", "pools: []", "pools:\n", "owner: x"} {
		parse(t, text)
	}
	for _, text := range []string{"", " \n", "# nothing", "---\n", "\ufeff"} {
		if _, faults := manifest.Parse([]byte(text), manifest.Options{}); len(faults) != 1 {
			t.Errorf("%q: %v", text, faults)
		}
	}
}

func TestEveryFaultHasItsPlace(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"a value out of its range": {
			"pools:\n  - name: p\n    backends:\n      - name: a\n        address: 'a:1'\n        weight: 1001",
			[]string{"6:9: /pools/0/backends/0/weight: 1001 is not from 0 to 1000"},
		},
		"a value in a spec": {
			"backends:\n- name: a\n  spec:\n    address: 'a:1'\n    tier: 16",
			[]string{"5:5: /backends/0/spec/tier: 16 is not from 0 to 15"},
		},
		"all of them at once": {
			"backends:\n- name: A\n  adress: a\n  weight: x\nroutes:\n- {name: r, pools: [{name: p, weight: -1}]}",
			[]string{
				`3:3: /backends/0/adress: "adress" is not a known field: did you mean "address"?`,
				`4:3: /backends/0/weight: "x" is a string, must be a whole number`,
				`2:3: /backends/0/name: "A" is not a DNS label`,
				`2:3: /backends/0/address: `,
				`6:31: /routes/0/pools/0/weight: -1 is not from 0 to 1000`,
			},
		},
		"a missing field is where its object begins": {
			"kind: listener\nname: l", []string{`1:1: /address: `},
		},
		"a missing name": {
			"pools:\n- strategy: random", []string{`2:3: /pools/0: the name is missing`},
		},
		"an object twice": {
			"pools: [{name: p}]\nbackends:\n- {name: a, pool: p, address: 'a:1'}\n- {name: a, pool: p, address: 'b:1'}",
			[]string{`4:3: /backends/1: backend p/a is given twice: line 3, column 3 has it first: keep one`},
		},
		"an object twice in two documents": {
			"{kind: pool, name: p}\n---\npools: [{name: p}]",
			[]string{`3:9: /pools/0: pool p is given twice: line 1, column 1 has it first`},
		},
		"an address twice": {
			"pools:\n- name: p\n  backends:\n  - {name: a, address: 'x:1'}\n  - {name: b, address: 'X:1'}",
			[]string{`5:15: /pools/0/backends/1/address: "X:1" is the address of backend p/a already, at line 4, column 15`},
		},
		"a field twice, of YAML": {
			"pools:\n- name: p\n  name: q", []string{`3:3: /pools/0/name: the field is given twice`},
		},
		"a field twice, of JSON": {
			"{\"pools\": [{\"name\": \"p\",\n \"name\": \"q\"}]}", []string{`2:2: /pools/0/name: the field is given twice`},
		},
		"a syntax error of YAML": {"pools:\n\t- name: p", []string{"2:1: a tab in the indentation"}},
		"a syntax error of JSON": {"{\"pools\": [\n}", []string{"2:1: invalid character '}'"}},
		"an unknown list":        {"backend:\n- name: a", []string{`1:1: /backend: "backend" is not a known field: did you mean "backends"?`}},
		"no kind":                {"name: a", []string{`1:1: /name: "name" is a field of an object: say of which kind`}},
		"a kind that is not one": {"name: a\nkind: token", []string{`2:1: /kind: "token" is not one of certificate, listener, route, pool, backend`}},
		"a list of documents":    {"- {kind: pool, name: p}", []string{"1:1: is an array: a document holds one object"}},
		"an object for a list":   {"pools: {name: p}", []string{"1:1: /pools: is an object, must be an array"}},
		"a text for an object":   {"pools: [p]", []string{`1:9: /pools/0: is a string, must be an object`}},
		"a number for a text":    {"pools: [{name: p, labels: {v: 1.0}}]", []string{`1:28: /pools/0/labels/v: 1.0 is a number, must be a string: put it in quotes`}},
		"a number for a text in JSON": {
			`{"pools": [{"name": 1}]}`, []string{`1:13: /pools/0/name: 1 is a number, must be a string`},
		},
		"a field beside the spec": {
			"pools: [{name: p, strategy: random, spec: {}}]", []string{`1:19: /pools/0/strategy: stands beside "spec"`},
		},
		"another pool than the one around": {
			"pools: [{name: p, backends: [{name: a, pool: q, address: 'a:1'}]}]", []string{`1:40: /pools/0/backends/0/pool: "q" is not the pool that the backend stands in, "p"`},
		},
		"a pool whose name is wrong is told once": {
			"pools: [{name: P, backends: [{name: a, address: 'a:1'}]}]", []string{`1:10: /pools/0/name: "P" is not a DNS label`},
		},
		"two owners":                {"owner: a\n---\nowner: b", []string{`3:1: /owner: "b" is not the owner that was said before, "a"`}},
		"an owner that is no text":  {"owner: [a]", []string{`1:1: /owner: is an array, must be a name`}},
		"an owner against a label":  {"owner: a\npools: [{name: p, labels: {evenkeel.owner: b}}]", []string{`2:28: /pools/0/labels/evenkeel.owner: "b" is not the owner of this manifest, "a"`}},
		"a boolean of old":          {"backends: [{name: a, address: 'a:1', zone: no}]", []string{`1:44: /backends/0/zone: no: some readers of YAML`}},
		"a status in another place": {"status: {}", []string{`1:1: /status: "status" is not a known field: use one of`}},
	} {
		t.Run(name, func(t *testing.T) {
			_, faults := manifest.Parse([]byte(c.text), manifest.Options{})
			ok := len(faults) == len(c.want)
			for i := 0; ok && i < len(faults); i++ {
				ok = strings.HasPrefix(faults[i].String(), c.want[i])
			}
			if !ok {
				t.Errorf("%s\n got:\n%s\nwant:\n%s", c.text, describe(faults), strings.Join(c.want, "\n"))
			}
		})
	}
}

func TestFaultsAreBounded(t *testing.T) {
	for name, text := range map[string]string{
		"of values":     "pools:\n" + strings.Repeat("- {name: P}\n", 1000),
		"of fields":     "pools:\n" + strings.Repeat("- {name: p, x: 1, y0: 2}\n", 1000),
		"of YAML":       "pools:\n" + strings.Repeat("- {name: no}\n", 1000),
		"of references": "",
	} {
		if _, faults := manifest.Parse([]byte(text), manifest.Options{}); len(faults) > 101 || text != "" && len(faults) < 100 {
			t.Errorf("%s: %d faults", name, len(faults))
		}
	}
}

func TestSizeIsBounded(t *testing.T) {
	head := "# a file\n# of comments: "
	for most, want := range map[int]string{
		manifest.MaxBytes:   fmt.Sprintf("2:%d: the manifest has more than the 16777216 bytes that are taken, which end here: split it", manifest.MaxBytes-len("# a file\n")+1),
		strictyaml.MaxBytes: fmt.Sprintf("2:%d: the text has 4194305 bytes, at most 4194304 of YAML are taken, which end here: split it, or send JSON", strictyaml.MaxBytes-len("# a file\n")+1),
	} {
		_, faults := manifest.Parse([]byte(head+strings.Repeat("#", most+1-len(head))), manifest.Options{})
		if len(faults) != 1 || !strings.HasPrefix(faults[0].String(), want) {
			t.Errorf("%v, want %s", faults, want)
		}
	}
	var text strings.Builder
	text.WriteString("pools:\n")
	for i := range manifest.MaxObjects + 5 {
		fmt.Fprintf(&text, "- {name: p%d}\n", i)
	}
	_, faults := manifest.Parse([]byte(text.String()), manifest.Options{})
	if len(faults) != 1 || !strings.HasPrefix(faults[0].String(), "20002:3: /pools/20000: the manifest holds more than 20000 objects") {
		t.Errorf("%s", describe(faults))
	}
}

func TestTheOwnerCanBeSaidBesideTheManifest(t *testing.T) {
	m, faults := manifest.Parse([]byte("pools: [{name: p}]"), manifest.Options{Owner: "shop"})
	if len(faults) > 0 || m.Owner != "shop" || m.Puts()[0].Labels[manifest.OwnerLabel] != "shop" {
		t.Errorf("%+v, %v", m, faults)
	}
	if _, faults = manifest.Parse([]byte("owner: other"), manifest.Options{Owner: "shop"}); len(faults) != 1 {
		t.Errorf("%v", faults)
	}
}

func TestAFaultIsAlsoOneOfTheAPIs(t *testing.T) {
	_, faults := manifest.Parse([]byte("pools: [{name: P}]"), manifest.Options{})
	plain := manifest.Plain(faults)
	if len(plain) != 1 || plain[0].Pointer != "/pools/0/name" || !strings.HasPrefix(plain[0].Message, `line 1, column 10: "P" is not`) {
		t.Errorf("%+v", plain)
	}
}
