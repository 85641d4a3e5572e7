package httpapi

import (
	"testing"

	"evenkeel/fsm"
)

// TestWhatANodeDoesWithABackend holds the rules to a table, the first backend of
// each pool being the one that is asked about.
func TestWhatANodeDoesWithABackend(t *testing.T) {
	down := func(b *fsm.Backend) { b.Status.Health = fsm.HealthDown }
	up := func(b *fsm.Backend) { b.Status.Health = fsm.HealthUp }
	override := func(h fsm.Health) func(*fsm.Backend) {
		return func(b *fsm.Backend) { b.Status.Override = &fsm.Override{Health: h} }
	}
	tier := func(n int) func(*fsm.Backend) { return func(b *fsm.Backend) { b.Spec.Tier = n } }
	veto := func(h fsm.Health) LocalHealth { return LocalHealth{Vetoes: []Veto{{UID: "b0", Health: h}}} }
	ejected := LocalHealth{Ejections: []Ejection{{UID: "b0"}}}
	for name, c := range map[string]struct {
		panics int
		local  LocalHealth
		level  uint64
		of     [][]func(*fsm.Backend)
		want   use
	}{
		"one that nobody knows":               {of: [][]func(*fsm.Backend){{}}, want: useYes},
		"one that is up":                      {of: [][]func(*fsm.Backend){{up}}, want: useYes},
		"one that is down":                    {of: [][]func(*fsm.Backend){{down}, {up}}, want: useDown},
		"one that is held":                    {of: [][]func(*fsm.Backend){{func(b *fsm.Backend) { b.Status.Held = true }}, {}}, want: useHeld},
		"one that is drained":                 {of: [][]func(*fsm.Backend){{func(b *fsm.Backend) { b.Spec.AdminState = fsm.AdminDrain }}}, want: useDrain},
		"one in maintenance":                  {of: [][]func(*fsm.Backend){{func(b *fsm.Backend) { b.Spec.AdminState = fsm.AdminMaint }, override("up")}}, want: useMaint},
		"one of weight 0":                     {of: [][]func(*fsm.Backend){{func(b *fsm.Backend) { b.Spec.Weight = 0 }}}, want: useWeight},
		"one that wants no traffic":           {of: [][]func(*fsm.Backend){{func(b *fsm.Backend) { b.Status.Reduction = 100 }}}, want: useWeight},
		"one that an operator put down":       {of: [][]func(*fsm.Backend){{up, override("down")}, {}}, want: useOverride},
		"one that an operator put up":         {of: [][]func(*fsm.Backend){{down, override("up")}, {}}, local: veto("down"), want: useYes},
		"one that is vetoed":                  {of: [][]func(*fsm.Backend){{up}, {}}, local: veto("down"), want: useVeto},
		"one that is vetoed and down":         {of: [][]func(*fsm.Backend){{down}, {}}, local: veto("down"), want: useDown},
		"one that is down, on who is cut off": {of: [][]func(*fsm.Backend){{down}, {}}, local: veto("up"), want: useYes},
		"one that is ejected":                 {of: [][]func(*fsm.Backend){{up}, {up}}, local: ejected, want: useEjected},
		"one put up that is ejected":          {of: [][]func(*fsm.Backend){{override("up")}, {up}}, local: ejected, want: useEjected},
		"the only one, ejected":               {of: [][]func(*fsm.Backend){{up}, {down}}, local: ejected, want: useYes},
		"an ejection below its level":         {of: [][]func(*fsm.Backend){{up}, {up}}, local: ejected, level: 3, want: useYes},
		"one of a tier that is not needed":    {of: [][]func(*fsm.Backend){{tier(1)}, {up}}, want: useTier},
		"one of a tier that is needed":        {of: [][]func(*fsm.Backend){{tier(1)}, {down}}, want: useYes},
		"one of a pool that panics":           {panics: 50, of: [][]func(*fsm.Backend){{down}, {down}, {up}}, want: usePanic},
		"one of a pool that does not yet":     {panics: 50, of: [][]func(*fsm.Backend){{down}, {up}}, want: useDown},
		"one put down in a panic":             {panics: 50, of: [][]func(*fsm.Backend){{override("down")}, {down}}, want: useOverride},
		"a tier in trouble before a panic":    {panics: 60, of: [][]func(*fsm.Backend){{down}, {up}, {tier(1)}}, want: useDown},
		"the sound tier behind it":            {panics: 60, of: [][]func(*fsm.Backend){{tier(1)}, {up}, {down}}, want: useYes},
	} {
		t.Run(name, func(t *testing.T) {
			pool := &fsm.Pool{Spec: fsm.PoolSpec{PanicPercent: c.panics}}
			var backends []*fsm.Backend
			for i, changes := range c.of {
				b := &fsm.Backend{Meta: fsm.Meta{UID: "b" + string(rune('0'+i))}}
				b.Spec.SetDefaults()
				for _, change := range changes {
					change(b)
				}
				backends = append(backends, b)
			}
			level := c.level
			if level == 0 {
				level = levelOfOpinion
			}
			if got := uses(pool, backends, indexed(c.local), level)["b0"]; got != c.want {
				t.Errorf("it is %q, want %q", got, c.want)
			}
		})
	}
}
