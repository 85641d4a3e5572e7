//go:build linux

package health

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// cut ends what one node can reach of a backend, until heal is called. What it
// sends is dropped, or answered with a reset.
type cut struct {
	namespace string
	t         testing.TB
}

func (b *bed) cut(node int, ip string, reset bool) *cut {
	b.t.Helper()
	c := &cut{b.lab.Sites[node].Namespace, b.t}
	verdict := "drop"
	if reset {
		verdict = "meta l4proto tcp reject with tcp reset"
	}
	connect := "tcp flags & (syn | ack) == syn counter name"
	c.nft("-f", "-", fmt.Sprintf("table ip cut {\ncounter requests {}\ncounter probes {}\ncounter lost {}\n"+
		"chain out {\ntype filter hook output priority 0\n"+
		"ip daddr %[1]s tcp dport %[2]d %[4]s requests\n"+
		"ip daddr %[1]s tcp dport %[3]d %[4]s probes\n"+
		"ip daddr %[1]s counter name lost\n"+
		"ip daddr %[1]s %[5]s\n}\n}\n", ip, trafficPort, checkPort, connect, verdict))
	return c
}

func (c *cut) heal() { c.nft("delete", "table ip cut", "") }

// connects returns how many connects of requests and of probes, and how many
// packets in all, the node has tried to send.
func (c *cut) connects() (requests, probes, all int) {
	c.t.Helper()
	var list struct {
		Nftables []struct {
			Counter *struct {
				Name    string
				Packets int
			}
		}
	}
	out := c.nft("-j", "list counters table ip cut", "")
	if err := json.Unmarshal(out, &list); err != nil {
		c.t.Fatalf("nft: %v in %s", err, out)
	}
	count := map[string]int{}
	for _, item := range list.Nftables {
		if item.Counter != nil {
			count[item.Counter.Name] = item.Counter.Packets
		}
	}
	return count["requests"], count["probes"], count["lost"]
}

// nft runs nft in the node's namespace: one option or verb, its argument, and
// what it reads.
func (c *cut) nft(option, argument, input string) []byte {
	c.t.Helper()
	args := append([]string{"netns", "exec", c.namespace, "nft", option}, strings.Fields(argument)...)
	command := exec.Command("ip", args...)
	command.Stdin = strings.NewReader(input)
	out, err := command.CombinedOutput()
	if err != nil {
		c.t.Fatalf("nft %s %s: %v: %s", option, argument, err, out)
	}
	return out
}
