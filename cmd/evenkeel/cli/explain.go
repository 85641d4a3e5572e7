package cli

import (
	"fmt"
	"strings"
	"time"

	"evenkeel/fsm"
)

// whyDoc is what the API says of whether and why one backend is used.
type whyDoc struct {
	Pool       string     `json:"pool"`
	Name       string     `json:"name"`
	Address    string     `json:"address"`
	AdminState string     `json:"admin_state"`
	Weight     int        `json:"weight"`
	Tier       int        `json:"tier"`
	Checked    bool       `json:"checked"`
	Verdict    fsm.Health `json:"verdict"`
	Effective  fsm.Health `json:"effective"`
	Since      uint64     `json:"since"`
	Reduction  int        `json:"reduction"`
	Ramp       uint64     `json:"ramp"`
	Flaps      int        `json:"flaps"`
	Held       bool       `json:"held"`
	Override   *struct {
		Health fsm.Health   `json:"health"`
		For    fsm.Duration `json:"for"`
		Reason string       `json:"reason"`
		Actor  string       `json:"actor"`
		At     time.Time    `json:"at"`
	} `json:"override"`
	Drain *struct {
		State   fsm.DrainState `json:"state"`
		Waiting []string       `json:"waiting"`
	} `json:"drain"`
	Witnesses []witnessDoc `json:"witnesses"`
	Nodes     []useDoc     `json:"nodes"`
}

type witnessDoc struct {
	Node    string `json:"node"`
	Current bool   `json:"current"`
	Vote    *struct {
		Health   fsm.Health `json:"health"`
		Outdated bool       `json:"outdated"`
		Reason   string     `json:"reason"`
	} `json:"vote"`
	Opinion *struct {
		Health         fsm.Health `json:"health"`
		Error          string     `json:"error"`
		Void           string     `json:"void"`
		WeightError    string     `json:"weight_error"`
		AgeSeconds     *float64   `json:"age_seconds"`
		LatencySeconds float64    `json:"latency_seconds"`
	} `json:"opinion"`
}

type useDoc struct {
	Node   string `json:"node"`
	Use    string `json:"use"`
	CutOff bool   `json:"cut_off"`
	Veto   *struct {
		Reason     string  `json:"reason"`
		AgeSeconds float64 `json:"age_seconds"`
	} `json:"veto"`
	Ejection *struct {
		Reason      string  `json:"reason"`
		LeftSeconds float64 `json:"left_seconds"`
	} `json:"ejection"`
	Error string `json:"error"`
}

// explain says in sentences whether and why a backend is used, on every node:
// first what each node does, then what that follows from.
func explain(d whyDoc) []string {
	lines := d.explainUse()
	lines = append(lines, d.explainVerdict()...)
	return append(lines, d.explainRest()...)
}

// explainUse groups the nodes by what they do.
func (d whyDoc) explainUse() []string {
	var order []string
	nodes := map[string][]string{}
	for _, n := range d.Nodes {
		text := d.because(n)
		if nodes[text] == nil {
			order = append(order, text)
		}
		nodes[text] = append(nodes[text], n.Node)
	}
	lines := d.users(nodes[usedText])
	for _, text := range order {
		if text != usedText {
			lines = append(lines, sentence(nodes[text], text))
		}
	}
	for _, n := range d.Nodes {
		if n.CutOff {
			lines = append(lines, n.Node+" follows no leader, and goes by its own probes.")
		}
	}
	return lines
}

// users says which nodes use the backend as a healthy one. Where some use it in a
// panic there is a sentence for that.
func (d whyDoc) users(used []string) []string {
	name := d.Pool + "/" + d.Name
	silent := false
	for _, n := range d.Nodes {
		if n.Use == "panic" && len(used) == 0 {
			return nil
		}
		silent = silent || n.Use == "no_answer"
	}
	switch {
	case len(d.Nodes) == 0:
		return []string{name + ": no node takes traffic."}
	case len(used) > 0:
		return []string{name + " is used by " + and(used) + "."}
	case silent:
		return []string{name + " is used by no node that answered."}
	}
	return []string{name + " is used by no node."}
}

const usedText = "uses it."

// because says what a node does, without its name.
func (d whyDoc) because(n useDoc) string {
	const none = "gives it no new requests: "
	switch n.Use {
	case "used":
		return usedText
	case "drain":
		return none + "an operator drains it."
	case "maintenance":
		return none + "an operator took it out for maintenance."
	case "weight":
		if d.Weight == 0 {
			return none + "its weight is 0."
		}
		return none + "it asked to be spared all of its weight."
	case "override":
		return none + "an operator said that it is down."
	case "down":
		return none + "the cluster's verdict is down."
	case "held":
		return none + "it is held down because it went down too often."
	case "tier":
		return fmt.Sprintf("%sit is of tier %d, and backends of a lower tier serve.", none, d.Tier)
	case "zone":
		return none + "backends of the own zone serve, and this one comes behind them."
	case "address":
		return none + "the backend's host name has no address there."
	case "panic":
		return "uses it although it is not healthy: too few backends of the pool are, and it panics."
	case "no_answer":
		return "did not tell its part: " + n.Error + "."
	case "veto":
		text := "avoids it: its own probes fail"
		if n.Veto != nil {
			text += since(n.Veto.AgeSeconds) + reason(n.Veto.Reason)
		}
		return text + "."
	case "ejected":
		text := "avoids it: its own requests failed"
		if n.Ejection != nil {
			text += reason(n.Ejection.Reason) + ", and it is tried again in " + span(n.Ejection.LeftSeconds)
		}
		return text + "."
	}
	return "says " + n.Use + ", which this build does not know."
}

// several are beginnings of what one node does, and of what several do.
var several = [...][2]string{
	{"avoids it: its own ", "avoid it: their own "},
	{"gives ", "give "},
	{"uses ", "use "},
	{"says ", "say "},
	{"did not tell its part", "did not tell their parts"},
}

// ofNodes turns what the API says of one node into what holds for several.
var ofNodes = strings.NewReplacer("the node is ", "they are ", "the node runs ", "they run ", "the node did ", "they did ",
	"the node cannot ", "they cannot ")

// sentence is what one or several nodes do.
func sentence(nodes []string, text string) string {
	for _, begin := range several {
		if rest, found := strings.CutPrefix(text, begin[0]); found && len(nodes) > 1 {
			text = begin[1] + ofNodes.Replace(rest)
			break
		}
	}
	return and(nodes) + " " + text
}

func (d whyDoc) explainVerdict() []string {
	if !d.Checked {
		if d.AdminState == string(fsm.AdminMaint) {
			return []string{"Nobody probes it while it is in maintenance."}
		}
		return []string{"Its pool has no check: nobody probes it, and it is used like one that is up."}
	}
	observers, votes, departed := 0, map[fsm.Health]int{}, map[fsm.Health]int{}
	for _, w := range d.Witnesses {
		if w.Current {
			observers++
		}
		switch {
		case w.Vote == nil || w.Vote.Outdated:
		case w.Current:
			votes[w.Vote.Health]++
		default:
			departed[w.Vote.Health]++
		}
	}
	var lines []string
	switch {
	case d.Verdict == fsm.HealthUnknown:
		lines = append(lines, fmt.Sprintf("There is no verdict yet: %d of %d witnesses voted up and %d down. Until then it is used like one that is up.",
			votes[fsm.HealthUp], observers, votes[fsm.HealthDown]))
	case d.Held:
		lines = append(lines, fmt.Sprintf("The cluster's verdict is %s, since version %d, since it is held: %d of %d witnesses voted up%s.",
			d.Verdict, d.Since, votes[fsm.HealthUp], observers, ofDeparted(departed[fsm.HealthUp])))
	default:
		lines = append(lines, fmt.Sprintf("The cluster's verdict is %s, since version %d, by %d of %d witnesses%s.",
			d.Verdict, d.Since, votes[d.Verdict], observers, ofDeparted(departed[d.Verdict])))
	}
	for _, w := range d.Witnesses {
		lines = append(lines, w.explain())
	}
	return lines
}

// ofDeparted adds the votes that stand in for those of successors.
func ofDeparted(votes int) string {
	if votes == 0 {
		return ""
	}
	return fmt.Sprintf(", with the votes of %d that have gone and whose successors have not voted", votes)
}

// explain says how a witness voted and what it thinks by now.
func (w witnessDoc) explain() string {
	text := w.Node + " has not voted yet"
	switch {
	case w.Vote == nil:
	case w.Vote.Outdated:
		text = fmt.Sprintf("%s voted %s about an address or check before the present one, which does not count", w.Node, w.Vote.Health)
	default:
		text = fmt.Sprintf("%s voted %s", w.Node, w.Vote.Health) + reason(w.Vote.Reason)
	}
	if !w.Current {
		return text + "; it observes the backend no longer."
	}
	o := w.Opinion
	if o == nil || o.AgeSeconds == nil {
		return text + "."
	}
	probe := fmt.Sprintf("; its last probe, %s ago, ", span(*o.AgeSeconds))
	switch {
	case o.Void != "":
		return text + probe + "told nothing" + reason(o.Void) + "."
	case o.Error != "":
		return text + probe + "failed after " + span(o.LatencySeconds) + reason(o.Error) + "."
	}
	text += probe + "passed in " + span(o.LatencySeconds)
	if o.WeightError != "" {
		text += ", but " + o.WeightError
	}
	return text + "."
}

// explainRest says what else bears on the use of the backend.
func (d whyDoc) explainRest() []string {
	var lines []string
	if o := d.Override; o != nil {
		until := "until that is taken back"
		if o.For > 0 {
			until = "for " + o.For.String()
		}
		lines = append(lines, fmt.Sprintf("The operator %s said %s at %s, %s%s.", o.Actor, o.Health, o.At.UTC().Format(time.RFC3339), until, reason(o.Reason)))
	}
	switch {
	case d.Held:
		lines = append(lines, fmt.Sprintf("Its witnesses agree that it is up; it went down %s, and is held down for a while.", times(d.Flaps)))
	case d.Flaps > 0:
		lines = append(lines, fmt.Sprintf("It went down %s of late.", times(d.Flaps)))
	}
	if d.Drain != nil {
		switch d.Drain.State {
		case fsm.DrainDone:
			lines = append(lines, "Its drain is done: no node has a request in flight to it.")
		case fsm.DrainTimedOut:
			lines = append(lines, "Its drain ended by its timeout: requests may still be in flight to it.")
		default:
			text := "Its drain is under way"
			if len(d.Drain.Waiting) > 0 {
				text += ", and waits for requests in flight from " + and(d.Drain.Waiting)
			}
			lines = append(lines, text+".")
		}
	}
	if d.Ramp > 0 {
		lines = append(lines, "It is in its slow start: its weight grows to its full value.")
	}
	if d.Reduction > 0 && d.Reduction < 100 {
		lines = append(lines, fmt.Sprintf("It asked to be spared %d %% of its weight.", d.Reduction))
	}
	return lines
}

// health is the cell of a table, such as "down (override)".
func (d whyDoc) health() string {
	switch {
	case d.Override != nil:
		return string(d.Effective) + " (override)"
	case d.Held:
		return string(d.Effective) + " (held)"
	}
	return string(d.Verdict)
}

// votes is the cell of a table, such as "2 up, 1 down".
func (d whyDoc) votes() string {
	var all []fsm.Vote
	for _, w := range d.Witnesses {
		if w.Vote != nil && !w.Vote.Outdated {
			all = append(all, fsm.Vote{Health: w.Vote.Health})
		}
	}
	return votes(all)
}

func (d whyDoc) usedBy() string {
	used := 0
	for _, n := range d.Nodes {
		if n.Use == "used" || n.Use == "panic" {
			used++
		}
	}
	return fmt.Sprintf("%d of %d", used, len(d.Nodes))
}

// whyNot names each reason with the nodes that have it, unless all have.
func (d whyDoc) whyNot() string {
	var order []string
	nodes := map[string][]string{}
	for _, n := range d.Nodes {
		if n.Use == "used" {
			continue
		}
		if nodes[n.Use] == nil {
			order = append(order, n.Use)
		}
		nodes[n.Use] = append(nodes[n.Use], n.Node)
	}
	for i, use := range order {
		if len(nodes[use]) < len(d.Nodes) {
			order[i] = strings.ReplaceAll(use, "_", " ") + " on " + and(nodes[use])
		}
	}
	return strings.Join(order, ", ")
}

// and joins names as people do.
func and(names []string) string {
	switch n := len(names); n {
	case 0:
		return ""
	case 1:
		return names[0]
	default:
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
}

func reason(text string) string {
	if text == "" {
		return ""
	}
	return ": " + strings.TrimRight(text, ". ")
}

func since(seconds float64) string {
	if seconds <= 0 {
		return ""
	}
	return " since " + span(seconds)
}

// span is a time in a few digits, such as 12s or 3ms.
func span(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d >= 10*time.Second:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d >= 10*time.Millisecond:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(10 * time.Microsecond).String()
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
