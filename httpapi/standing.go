package httpapi

import (
	"errors"

	"evenkeel/fsm"
)

// use says whether a node gives a backend new requests, and if not why; it is one
// of the constants below.
type use string

const (
	useYes         use = "used"
	useDrain       use = "drain"       // an operator drains it
	useMaint       use = "maintenance" // an operator took it out
	useWeight      use = "weight"      // its weight is 0, or it asked to be spared all of it
	useOverride    use = "override"    // an operator said down
	useDown        use = "down"        // the verdict
	useHeld        use = "held"        // up, but held for its flaps
	useVeto        use = "veto"        // the node's own probes fail
	useEjected     use = "ejected"     // the node's own requests failed
	useTier        use = "tier"        // a lower tier serves
	usePanic       use = "panic"       // used although it is not healthy
	useZone        use = "zone"        // the node's own zone serves; said by nodes alone
	useAddress     use = "address"     // the node has no address of its name; likewise
	useUnanswered  use = "no_answer"   // the node did not say
	levelOfOpinion     = 4             // below it a node has no word of its own
)

var errDead = errors.New("it is dead")

// What follows reckons what a node does that does not say so itself: one of an
// older build, or all pools at once. It knows no zones and no names.

// standing is what decides about one backend on one node, in the order of
// balancer/table/standing.go. It returns "" for one that is healthy there.
func standing(b *fsm.Backend, veto fsm.Health, ejected bool) (kept, unhealthy use) {
	status := &b.Status
	switch {
	case b.Spec.AdminState == fsm.AdminDrain:
		return useDrain, ""
	case b.Spec.AdminState == fsm.AdminMaint:
		return useMaint, ""
	case b.Spec.Weight == 0 || status.Reduction >= 100:
		return useWeight, ""
	case status.Override != nil && status.Override.Health == fsm.HealthDown:
		return useOverride, ""
	case status.Override != nil:
	case veto == fsm.HealthDown && status.Health == fsm.HealthDown:
		return "", useDown
	case veto == fsm.HealthDown:
		return "", useVeto
	case veto == fsm.HealthUp:
	case status.Held:
		return "", useHeld
	case status.Health == fsm.HealthDown:
		return "", useDown
	}
	if ejected {
		return "", useEjected
	}
	return "", ""
}

// uses returns by UID what one node does with each backend of a pool, by what it
// said of itself: the healthy ones of the lowest tier in which enough are, else
// all that no operator keeps out if the pool may panic.
func uses(pool *fsm.Pool, backends []*fsm.Backend, node nodeHealth, level uint64) map[string]use {
	if level < levelOfOpinion {
		node = nodeHealth{}
	}
	all, bad := make(map[string]use, len(backends)), map[string]use{}
	ready, usable, fit := map[int]int{}, map[int]int{}, map[int]int{}
	for _, b := range backends {
		uid, tier := b.Meta.UID, b.Spec.Tier
		_, ejected := node.ejections[uid]
		kept, unhealthy := standing(b, node.vetoes[uid].Health, ejected)
		if kept != "" {
			all[uid] = kept
			continue
		}
		ready[tier]++
		switch bad[uid] = unhealthy; unhealthy {
		case "":
			usable[tier]++
			fit[tier]++
		case useEjected:
			fit[tier]++
		}
	}
	heedless := len(usable) == 0 && len(fit) > 0 // ejections never leave a pool without a backend
	if heedless {
		usable = fit
	}
	chosen, found := lowestTier(pool.Spec.PanicPercent, ready, usable)
	for _, b := range backends {
		uid := b.Meta.UID
		unhealthy, in := bad[uid]
		if heedless && unhealthy == useEjected {
			unhealthy = ""
		}
		switch {
		case !in:
		case !found && pool.Spec.PanicPercent > 0 && unhealthy != "":
			all[uid] = usePanic
		case unhealthy != "":
			all[uid] = unhealthy
		case found && b.Spec.Tier != chosen:
			all[uid] = useTier
		default:
			all[uid] = useYes
		}
	}
	return all
}

// lowestTier returns the lowest tier in which one backend is usable, and of
// those that are ready the share below which the pool panics.
func lowestTier(panicPercent int, ready, usable map[int]int) (tier int, found bool) {
	for t := range usable {
		if usable[t]*100 >= panicPercent*ready[t] && (!found || t < tier) {
			tier, found = t, true
		}
	}
	return tier, found
}
