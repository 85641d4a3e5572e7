package health

import (
	"fmt"
	"testing"
	"time"

	"evenkeel/fsm"
)

func downTarget(n int) *target {
	t := &target{
		name:    name{"default", fmt.Sprintf("b%d", n)},
		subject: subject{uid: fmt.Sprintf("uid-%d", n), generation: 1},
		planned: true, observes: true,
		slot:  -1,
		tally: NewTally(1, 1, fsm.HealthDown),
	}
	return t
}

func TestVotesWaitForCompany(t *testing.T) {
	var b ballot
	b.consider(downTarget(1), 0)
	if casts := b.collect(coalesce - 1); casts != nil {
		t.Fatalf("a command went after %s", coalesce-1)
	}
	b.consider(downTarget(2), 3*time.Millisecond)
	if casts := b.collect(coalesce); len(casts) != 2 {
		t.Fatalf("the command has %d votes, want both", len(casts))
	}
	if next := b.next(); next != never {
		t.Errorf("another command is planned for %s", next)
	}
}

func TestOnlyOneCommandIsUnderWay(t *testing.T) {
	var b ballot
	first, second := downTarget(1), downTarget(2)
	b.consider(first, 0)
	casts := b.collect(coalesce)
	b.consider(second, coalesce)
	if more := b.collect(time.Hour); more != nil {
		t.Fatal("a second command went while the first was under way")
	}
	first.vote = fsm.HealthDown
	b.conclude(casts, false, time.Hour)
	if more := b.collect(time.Hour); len(more) != 1 || more[0].target != second {
		t.Fatalf("the next command has %v, want the second target's vote alone", more)
	}
}

func TestACommandIsBounded(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		most   int
	}{
		"in votes": {"", maxVotes},
		"in bytes": {fmt.Sprintf("%0256d", 0), maxVoteBytes/(voteOverhead+maxReason) + 1},
	} {
		t.Run(name, func(t *testing.T) {
			var b ballot
			const targets = 12_000
			for n := range targets {
				target := downTarget(n)
				target.last.reason = c.reason
				b.consider(target, 0)
			}
			now, cast := coalesce, 0
			for commands := 1; cast < targets; commands++ {
				casts := b.collect(now)
				if len(casts) == 0 || len(casts) > c.most {
					t.Fatalf("command %d has %d votes, at most %d are allowed", commands, len(casts), c.most)
				}
				cast += len(casts)
				for _, c := range casts {
					c.vote = c.health
				}
				b.conclude(casts, false, now)
				now = max(now, b.next())
			}
			if cast != targets {
				t.Errorf("%d votes were cast for %d targets", cast, targets)
			}
		})
	}
}

func TestVotesThatAreDueNoLongerAreNotCast(t *testing.T) {
	var b ballot
	gone, recovered, voted := downTarget(1), downTarget(2), downTarget(3)
	for _, target := range []*target{gone, recovered, voted} {
		b.consider(target, 0)
	}
	gone.planned = false
	recovered.vote = fsm.HealthUp
	recovered.tally = NewTally(1, 1, fsm.HealthUp)
	voted.vote = fsm.HealthDown
	if casts := b.collect(time.Second); len(casts) != 0 {
		t.Fatalf("%d votes were cast", len(casts))
	}
	if b.next() != never {
		t.Error("a command is planned though nothing is due")
	}
}

func TestFailedCommandsBackOff(t *testing.T) {
	var b ballot
	b.consider(downTarget(1), 0)
	now, commands := coalesce, 0
	for now < 10*time.Second {
		casts := b.collect(now)
		if len(casts) != 1 {
			t.Fatalf("%d votes at %s", len(casts), now)
		}
		commands++
		b.conclude(casts, true, now)
		wait := b.next() - now
		if wait > maxBackoff {
			t.Fatalf("waits %s after %d failures, more than %s", wait, commands, maxBackoff)
		}
		now += wait
	}
	if commands < 10 || commands > 20 {
		t.Errorf("%d commands in 10 s of failure, want 10 to 20", commands)
	}
}

func TestVotesThatAreIgnoredBackOffAlone(t *testing.T) {
	var b ballot
	ignored := downTarget(1)
	b.consider(ignored, 0)
	commands := 0
	for now := time.Duration(0); now < time.Minute; now = b.next() {
		casts := b.collect(now)
		if len(casts) > 0 {
			commands++
			b.conclude(casts, false, now)
		}
	}
	if commands < 5 || commands > 16 {
		t.Errorf("an ignored vote was proposed %d times in a minute, want 5 to 16", commands)
	}
	now := b.next() - 10*time.Second
	other := downTarget(2)
	b.consider(other, now)
	if casts := b.collect(now + coalesce); len(casts) != 1 || casts[0].target != other {
		t.Errorf("another target's vote had to wait for it: %v", casts)
	}
}

func TestAFloodOfChangesIsPaced(t *testing.T) {
	var b ballot
	commands, target := 0, downTarget(1)
	const span = 30 * time.Second
	for now := time.Duration(0); now < span; now += time.Millisecond {
		target.vote = "" // the opinion changed once more
		b.consider(target, now)
		if casts := b.collect(now); casts != nil {
			commands++
			target.vote = fsm.HealthDown
			b.conclude(casts, false, now)
		}
	}
	if most := voteBurst + int(span/votePeriod) + 1; commands > most {
		t.Errorf("%d commands in %s, want at most %d", commands, span, most)
	}
}

// busyBallot has carried votes for so long that its pace is the slowest; now is
// when its last command was concluded.
func busyBallot() (b *ballot, now time.Duration) {
	b = new(ballot)
	target := downTarget(0)
	for ; now-b.last < maxPeriod-time.Millisecond || b.last == 0; now += time.Millisecond {
		target.vote = ""
		b.consider(target, now)
		if casts := b.collect(now); casts != nil {
			target.vote = fsm.HealthDown
			b.conclude(casts, false, now)
		}
	}
	for now = b.next(); b.collect(now) == nil; now += time.Millisecond {
	}
	target.vote = fsm.HealthDown
	b.conclude(nil, false, now)
	return b, now
}

func TestUnderPressureWhatRequestsMetGoesFirst(t *testing.T) {
	for name, c := range map[string]struct {
		evidence bool
		within   time.Duration
	}{
		"a probe alone":         {false, maxPeriod},
		"with evidence as well": {true, maxUrgentPeriod},
	} {
		b, now := busyBallot()
		b.urged = now // such votes came all the time
		probed := downTarget(1)
		b.consider(probed, now)
		target := downTarget(2)
		target.last.evidence = c.evidence
		b.consider(target, now)
		if got := b.next() - now; got != c.within {
			t.Errorf("%s: the vote goes after %s, want %s", name, got, c.within)
		}
		if casts := b.collect(b.next()); len(casts) != 2 {
			t.Errorf("%s: %d votes went, want all that are due", name, len(casts))
		}
	}
}

// Backends whose loads change, or that flap without traffic, keep votes coming for
// ever. A death that requests met is told at once all the same, but for many.
func TestADeathThatRequestsMetDoesNotWaitForOtherVotes(t *testing.T) {
	b, now := busyBallot()
	for n, within := range []time.Duration{coalesce, maxUrgentPeriod, maxUrgentPeriod} {
		target := downTarget(n)
		target.last.evidence = true
		b.consider(target, now)
		if got := b.next() - now; got != within {
			t.Fatalf("death %d is told after %s, want %s", n, got, within)
		}
		now = b.next()
		casts := b.collect(now)
		target.vote = fsm.HealthDown
		b.conclude(casts, false, now)
	}
}

func TestAfterAQuietTimeVotesGoAtOnce(t *testing.T) {
	b, now := busyBallot()
	for n := range voteBurst {
		now += 2*maxPeriod + time.Millisecond
		target := downTarget(n)
		b.consider(target, now)
		if got := b.next() - now; got != coalesce {
			t.Fatalf("vote %d goes after %s, want %s", n, got, coalesce)
		}
		casts := b.collect(b.next())
		target.vote = fsm.HealthDown
		b.conclude(casts, false, now+coalesce)
	}
}

// A backend that was up a moment too short for its opinion to be told is told of
// from when it comes up again.
func TestAnOpinionThatWouldBeHeldHasToStand(t *testing.T) {
	var b ballot
	target := downTarget(1)
	target.vote, target.verdict, target.hold = fsm.HealthDown, fsm.HealthDown, 8*time.Second
	rise := func(at time.Duration) {
		target.tally, target.turned = NewTally(1, 1, fsm.HealthUp), at
		b.consider(target, at)
	}
	rise(time.Second)
	target.tally, target.turned = NewTally(1, 1, fsm.HealthDown), 2*time.Second
	b.consider(target, 2*time.Second)
	rise(2900 * time.Millisecond)
	for now := 2900 * time.Millisecond; now < 4800*time.Millisecond; now += 10 * time.Millisecond {
		if casts := b.collect(now); casts != nil {
			t.Fatalf("it is told after %s", now-2900*time.Millisecond)
		}
	}
	if casts := b.collect(4900 * time.Millisecond); len(casts) != 1 || casts[0].health != fsm.HealthUp {
		t.Errorf("after a quarter of the hold the votes are %v", casts)
	}
	target.hold = time.Hour
	if got := target.notBefore(fsm.HealthUp) - target.turned; got != maxSettle {
		t.Errorf("with a hold of an hour it is told after %s, want %s", got, maxSettle)
	}
	target.vote = fsm.HealthUp
	if got := target.notBefore(fsm.HealthDown); got > target.turned {
		t.Errorf("down waits until %s", got)
	}
}

// upTarget has voted up and may ask for less weight.
func upTarget(n int) *target {
	t := downTarget(n)
	t.tally, t.vote = NewTally(1, 1, fsm.HealthUp), fsm.HealthUp
	return t
}

func TestWhichWeightIsWorthAVote(t *testing.T) {
	for name, c := range map[string]struct {
		voted, asked int
		want         bool
	}{
		"the same":                      {30, 30, false},
		"less than a step":              {30, 34, false},
		"a step":                        {30, 35, true},
		"a step back":                   {30, 25, true},
		"nothing spared any more":       {3, 0, true},
		"all spared":                    {97, 100, true},
		"little, which was nothing yet": {0, 4, false},
	} {
		target := upTarget(1)
		target.voted, target.reduction = c.voted, c.asked
		if got := target.votesFor() != ""; got != c.want {
			t.Errorf("%s: votes %t, want %t", name, got, c.want)
		}
		target.tally = NewTally(1, 1, fsm.HealthDown)
		target.vote = fsm.HealthDown
		if target.votesFor() != "" {
			t.Errorf("%s: votes while it is down", name)
		}
	}
}

func TestALoadThatChangesAllTheTimeIsFewVotes(t *testing.T) {
	var b ballot
	target, commands := upTarget(1), 0
	for now := time.Duration(0); now < time.Minute; now += 100 * time.Millisecond {
		target.reduction = int(now/(100*time.Millisecond)) * 37 % 101
		b.consider(target, now)
		if casts := b.collect(now); casts != nil {
			commands++
			target.voted = casts[0].reduction
			b.conclude(casts, false, now)
		}
	}
	if commands < 10 || commands > 12 {
		t.Errorf("%d votes in a minute, want one every %s", commands, weightPeriod)
	}
}

func TestHealthDoesNotWaitForWeight(t *testing.T) {
	var b ballot
	target := upTarget(1)
	target.cast, target.reduction = time.Minute, 50
	b.consider(target, time.Minute) // due in 5 s
	if b.collect(time.Minute+time.Second) != nil {
		t.Fatal("a vote for the weight alone came too early")
	}
	target.tally = NewTally(1, 1, fsm.HealthDown)
	b.consider(target, time.Minute+time.Second)
	casts := b.collect(time.Minute + time.Second + coalesce)
	if len(casts) != 1 || casts[0].health != fsm.HealthDown || casts[0].reduction != 50 {
		t.Fatalf("cast %+v", casts)
	}
	if len(b.due) != 0 {
		t.Error("it stands in the queue twice")
	}
}
