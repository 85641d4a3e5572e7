package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"evenkeel/fsm"
)

func backendKind() *kind {
	return &kind{
		name: "backend", plural: "backends", pooled: true,
		short: "the servers that requests go to",
		fields: []field{
			{flag: "weight", usage: "share of the traffic, 0 to 1000", apply: number("weight", "weight")},
			{flag: "tier", usage: "0 to 15; the lowest tier with a usable backend serves", apply: number("tier", "tier")},
			{flag: "zone", usage: "where the backend stands", apply: text("zone")},
			{flag: "admin-state", usage: "ready, drain or maint", apply: text("admin_state"),
				known: []string{string(fsm.AdminReady), string(fsm.AdminDrain), string(fsm.AdminMaint)}},
			{flag: "drain-timeout", usage: "how long a drain waits for requests in flight, such as 5m", apply: text("drain_timeout")},
			{flag: "ttl", usage: "how long the backend stays without being renewed, 5s to 24h", apply: text("ttl")},
		},
		head:   []string{"POOL", "NAME", "ADDRESS", "WEIGHT", "TIER", "ADMIN", "HEALTH", "VOTES"},
		row:    backendRow,
		detail: backendVotes,
		extra:  backendVerbs,
	}
}

func backendRow(object []byte) ([]string, error) {
	b, err := decode[fsm.Backend](object)
	if err != nil {
		return nil, err
	}
	return []string{
		b.Pool, b.Name, b.Spec.Address, strconv.Itoa(b.Spec.Weight), strconv.Itoa(b.Spec.Tier),
		describeAdmin(b), describeHealth(b), votes(b.Status.Votes),
	}, nil
}

// describeAdmin is what an operator wants of a backend and how far that is, such
// as "drain, drained".
func describeAdmin(b *fsm.Backend) string {
	text := string(b.Spec.AdminState)
	if drain := b.Status.Drain; drain != nil {
		text += ", " + strings.ReplaceAll(string(drain.State), "_", " ")
	}
	return text
}

// describeHealth is what a backend is taken for, such as "down (override)".
func describeHealth(b *fsm.Backend) string {
	health := string(b.Status.Effective())
	switch {
	case b.Status.Override != nil:
		return health + " (override)"
	case b.Status.Held:
		return health + " (held)"
	}
	return health
}

// votes sums up the observers' opinions, such as "2 up, 1 down".
func votes(all []fsm.Vote) string {
	up, down := 0, 0
	for _, vote := range all {
		switch vote.Health {
		case fsm.HealthUp:
			up++
		case fsm.HealthDown:
			down++
		}
	}
	switch {
	case down == 0 && up == 0:
		return ""
	case down == 0:
		return fmt.Sprintf("%d up", up)
	case up == 0:
		return fmt.Sprintf("%d down", down)
	}
	return fmt.Sprintf("%d up, %d down", up, down)
}

// backendVotes says who thinks what of the backend, and why.
func backendVotes(w io.Writer, object []byte) error {
	b, err := decode[struct {
		Status struct {
			Votes []struct {
				Node string `json:"node"`
				fsm.Vote
			} `json:"votes"`
		} `json:"status"`
	}](object)
	if err != nil || len(b.Status.Votes) == 0 {
		return err
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	rows := &table{head: []string{"NODE", "VOTE", "SINCE", "REASON"}}
	for _, vote := range b.Status.Votes {
		rows.add(vote.Node, string(vote.Health), vote.At.UTC().Format(time.RFC3339), vote.Reason)
	}
	return rows.print(w)
}

// backendVerbs are shorthands of set.
func backendVerbs(v *verbs) []*cobra.Command {
	commands := []*cobra.Command{
		v.adminVerb("drain", fsm.AdminDrain, "let a backend finish what it has and give it nothing new"),
		v.adminVerb("ready", fsm.AdminReady, "give a drained backend traffic again"),
	}
	weight := &cobra.Command{
		Use: "weight NAME WEIGHT", Short: "set a backend's share of the traffic, 0 to 1000",
		Args: exactArgs(2), ValidArgsFunction: v.complete,
	}
	v.poolFlag(weight, defaultPool, "pool of the backend")
	w := v.app.writeFlags(weight)
	weight.RunE = func(cmd *cobra.Command, args []string) error {
		n, err := strconv.Atoi(args[1])
		if err != nil {
			return usage(fmt.Sprintf("weight %q is not a whole number; give one from 0 to 1000", args[1]))
		}
		return v.changeOne(cmd, w, args[0], func(d *document) error {
			d.setPath("weight", n)
			return nil
		})
	}
	return append(commands, weight, v.overrideVerb())
}

func (v *verbs) adminVerb(use string, state fsm.AdminState, short string) *cobra.Command {
	cmd := &cobra.Command{Use: use + " NAME", Short: short, Args: exactArgs(1), ValidArgsFunction: v.complete}
	v.poolFlag(cmd, defaultPool, "pool of the backend")
	w := v.app.writeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return v.changeOne(cmd, w, args[0], func(d *document) error {
			d.setPath("admin_state", string(state))
			return nil
		})
	}
	return cmd
}
