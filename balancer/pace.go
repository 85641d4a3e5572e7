package balancer

import "time"

// The pace of tables: so many at once after a quiet time, and in the long run one
// every tablePeriod, or one in tableShare times what it takes to make it. Each one
// costs the loops a moment, too, and what many backends do at once would be hundreds
// a second. A table also costs what the pools do whose backends changed, and each
// commit may change some of every pool: while a client wrote 100,000 backends as fast
// as it could, each node spent half of its time on tables that lived for
// milliseconds, and Raft's heartbeats came too late for it. What a request met
// counts without a table: an ejection is a flag that every pick reads.
const (
	tableBurst  = 5
	tablePeriod = 40 * time.Millisecond
	tableShare  = 5
	// maxRest is the longest time between two tables.
	maxRest = 500 * time.Millisecond
)

// pace counts tables (the generic cell rate algorithm, ITU-T I.371, with cells of
// many sizes). It has no clock. The zero value has made none.
type pace struct {
	paid time.Duration // until when the tables so far have used up the pace
}

// spend takes account of a table that was begun then and took so long.
func (p *pace) spend(begun, took time.Duration) {
	p.paid = max(p.paid, begun) + max(tablePeriod, min(tableShare*took, took+maxRest))
}

// next returns when the next table may be made; it may be past.
func (p *pace) next() time.Duration { return p.paid - (tableBurst-1)*tablePeriod }
