package demo

import (
	"fmt"
	"strings"
)

// introduce prints every URL and PID, and what to try.
func (d *demo) introduce(follower, leader *node) error {
	var b strings.Builder
	fmt.Fprintf(&b, "\nThree nodes, three backends, one cluster. Ctrl-C ends and removes it all.\n\n")
	for _, n := range d.nodes {
		role := "follower"
		if n == leader {
			role = "leader"
		}
		fmt.Fprintf(&b, "  %-4s  pid %-7d  traffic http://%s/  API http://%s/  %s\n",
			n.name, n.life().pid, n.traffic, n.api, role)
	}
	b.WriteByte('\n')
	for _, s := range d.backends {
		fmt.Fprintf(&b, "  %-4s  pid %-7d  backend http://%s/  registered through %s\n",
			s.name, s.life().pid, s.address, follower.name)
	}
	last := d.backends[len(d.backends)-1]
	if d.authority != "" {
		b.WriteByte('\n')
		for _, n := range d.nodes {
			fmt.Fprintf(&b, "  %-4s  over TLS https://%s/\n", n.name, n.secure)
		}
	}
	fmt.Fprintf(&b, "\nWhat to try in another terminal:\n\n")
	fmt.Fprintf(&b, "  1. Any node answers, from any backend:\n       curl http://%s/\n", follower.traffic)
	fmt.Fprintf(&b, "  2. Kill the leader; the others go on, and %s comes back after %s:\n       kill -9 %d\n",
		leader.name, restartDelay, leader.life().pid)
	fmt.Fprintf(&b, "  3. Take a backend out through one node and put it back through another. The API wants a token:\n")
	fmt.Fprintf(&b, "       export EVENKEEL_TOKEN=%s\n", d.token)
	fmt.Fprintf(&b, "       evenkeel backend rm %s --api %s\n", last.name, follower.api)
	fmt.Fprintf(&b, "       curl -H \"Authorization: Bearer $EVENKEEL_TOKEN\" -d '{\"name\":\"%s\",\"address\":\"%s\"}' http://%s/v1/backends\n\n",
		last.name, last.address, leader.api)
	if d.authority != "" {
		fmt.Fprintf(&b, "  4. The same over TLS, with HTTP/2 where curl has it, and with the leader killed too:\n")
		fmt.Fprintf(&b, "       curl --cacert %s https://%s/\n\n", d.authority, follower.secure)
	}
	_, err := fmt.Fprint(d.config.Out, b.String())
	return err
}
