package cli

import (
	"fmt"
	"strings"

	"evenkeel/fsm"
)

// noCheck is what --check takes for a pool without a health check.
const noCheck = "none"

func poolKind() *kind {
	return &kind{
		name: "pool", plural: "pools",
		short: "groups of backends that share requests",
		fields: []field{
			{flag: "strategy", usage: "how a backend is chosen: " + strings.Join(strategies(), ", "),
				apply: text("strategy"), known: strategies()},
			{flag: "check", usage: "type of the health check: tcp, http or none", apply: setCheck,
				known: []string{fsm.CheckTCP, fsm.CheckHTTP, noCheck}},
			{flag: "check-path", usage: "what an HTTP check asks for", apply: text("check.path")},
			{flag: "check-interval", usage: "time between two probes, such as 2s", apply: text("check.interval")},
			{flag: "check-timeout", usage: "bound of one probe, such as 1s", apply: text("check.timeout")},
			{flag: "check-rise", usage: "probes in a row that must pass", apply: number("check.rise", "check-rise")},
			{flag: "check-fall", usage: "probes in a row that must fail", apply: number("check.fall", "check-fall")},
			{flag: "check-expect", usage: "status codes that pass, such as 200-299,304", apply: text("check.expect")},
		},
		head: []string{"NAME", "STRATEGY", "CHECK"},
		row: func(object []byte) ([]string, error) {
			p, err := decode[fsm.Pool](object)
			if err != nil {
				return nil, err
			}
			return []string{p.Name, p.Spec.Strategy, describeCheck(p.Spec.Check)}, nil
		},
	}
}

func strategies() []string {
	return []string{
		fsm.StrategyWeightedRoundRobin, fsm.StrategyRoundRobin, fsm.StrategyRandom,
		fsm.StrategyLeastConnections, fsm.StrategyPowerOfTwoChoices,
	}
}

// setCheck comes before the other fields of the check, which may create it.
func setCheck(d *document, texts []string) error {
	if texts[0] == noCheck {
		d.setPath("check", nil)
		return nil
	}
	d.setPath("check.type", texts[0])
	return nil
}

// describeCheck returns a check in a few words, such as
// "http /healthz every 2s, timeout 1s, rise 2, fall 3".
func describeCheck(c *fsm.Check) string {
	if c == nil {
		return noCheck
	}
	what := c.Type
	if c.Path != "" {
		what += " " + c.Path
	}
	if c.Expect != "" {
		what += " expects " + c.Expect
	}
	return fmt.Sprintf("%s every %s, timeout %s, rise %d, fall %d", what, c.Interval, c.Timeout, c.Rise, c.Fall)
}
