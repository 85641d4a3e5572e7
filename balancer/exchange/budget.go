package exchange

import (
	"time"

	"evenkeel/balancer/table"
)

// budgetSeconds is how far back a budget looks.
const budgetSeconds = 10

// budget bounds the retries of one pool on one loop by its requests of the last
// ten seconds, so that backends in trouble are not buried under repetitions
// (Nygard, "Release It!"; Finagle's retry budget).
type budget struct {
	second            int64 // the present one
	requests, retries [budgetSeconds]uint32
	inWindow, spent   uint32 // their sums
}

// turn drops what is too old.
func (b *budget) turn(now int64) int {
	second := now / int64(time.Second)
	for ; b.second < second; b.second++ {
		if second-b.second > budgetSeconds {
			*b = budget{second: second}
			break
		}
		old := (b.second + 1) % budgetSeconds
		b.inWindow -= b.requests[old]
		b.spent -= b.retries[old]
		b.requests[old], b.retries[old] = 0, 0
	}
	return int(second % budgetSeconds)
}

// request counts one.
func (b *budget) request(now int64) {
	b.requests[b.turn(now)]++
	b.inWindow++
}

// spend takes a retry from the budget, if there is one left; loops share what
// a node may always do.
func (b *budget) spend(now int64, of table.RetryBudget, loops int) bool {
	at := b.turn(now)
	always := (of.Min*budgetSeconds + loops - 1) / loops
	if int(b.spent) >= int(b.inWindow)*of.Percent/100+always {
		return false
	}
	b.retries[at]++
	b.spent++
	return true
}

func (l *Loop) budgetOf(pool *table.Pool) *budget {
	b := l.budgets[pool.Shared]
	if b == nil {
		b = new(budget)
		l.budgets[pool.Shared] = b
	}
	return b
}

// Forget drops what the loop knows of pools that are gone.
func (l *Loop) Forget(pools []*table.PoolStats) {
	for _, gone := range pools {
		delete(l.budgets, gone)
	}
}
