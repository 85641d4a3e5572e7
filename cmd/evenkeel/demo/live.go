package demo

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// live sends requests to every node and shows the answers until ctx ends.
func (d *demo) live(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	clients := make([]*client, len(d.nodes))
	for i, n := range d.nodes {
		clients[i] = newClient(n)
		group.Go(func() error { return clients[i].run(ctx) })
	}
	group.Go(func() error {
		screen := newScreen(d.config.Out)
		keeper := &keeper{demo: d, dead: map[string]time.Time{}}
		tick := time.NewTicker(screen.interval())
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case now := <-tick.C:
				events, err := keeper.look(now)
				if err != nil {
					return err
				}
				picture := d.look(ctx, clients)
				picture.at = now
				if ctx.Err() != nil {
					return nil
				}
				picture.events = append(events, keeper.leaderChange(picture.leader)...)
				if err := screen.show(picture); err != nil {
					return fmt.Errorf("show demo: %w", err)
				}
			}
		}
	})
	return group.Wait()
}

// picture is what a moment looks like.
type picture struct {
	at       time.Time
	leader   string
	nodes    []nodePicture
	backends []backendPicture
	events   []string
}

type nodePicture struct {
	name, role string
	pid        int
	tally
}

type backendPicture struct {
	name, address, health string
	pid                   int
}

// look asks all nodes that live. The registry is any node's to tell; the
// backends are those that it knows, also such as the user added.
func (d *demo) look(ctx context.Context, clients []*client) *picture {
	p := &picture{}
	var registry struct {
		Items []struct {
			Name string `json:"name"`
			Spec struct {
				Address string `json:"address"`
			} `json:"spec"`
			Status struct {
				Health string `json:"health"`
			} `json:"status"`
		} `json:"items"`
	}
	asked := false
	for i, n := range d.nodes {
		row := nodePicture{name: n.name, tally: clients[i].tally()}
		if life := n.life(); !life.alive() {
			row.role = "dead"
		} else {
			row.pid = life.pid
			leader, err := d.leader(ctx, n)
			row.role = role(n.name, leader, err)
			if leader != "" {
				p.leader = leader
			}
			if !asked && err == nil {
				asked = d.get(ctx, n.api, "/v1/backends", &registry) == nil
			}
		}
		p.nodes = append(p.nodes, row)
	}
	for _, item := range registry.Items {
		row := backendPicture{name: item.Name, address: item.Spec.Address, health: item.Status.Health}
		i := slices.IndexFunc(d.backends, func(b *backend) bool { return b.address == item.Spec.Address })
		if i >= 0 {
			if life := d.backends[i].life(); life.alive() {
				row.pid = life.pid
			}
		}
		p.backends = append(p.backends, row)
	}
	return p
}

func role(name, leader string, err error) string {
	switch {
	case err != nil:
		return "no answer"
	case leader == "":
		return "no leader"
	case leader == name:
		return "leader"
	}
	return "follower"
}

// keeper notices deaths and starts the dead again.
type keeper struct {
	demo   *demo
	dead   map[string]time.Time // since when, by name
	leader string
}

// look returns what happened since the last look.
func (k *keeper) look(now time.Time) ([]string, error) {
	var events []string
	for _, p := range k.demo.processes() {
		life := p.life()
		if life.alive() {
			continue
		}
		since, known := k.dead[p.name]
		switch {
		case !known:
			k.dead[p.name] = now
			events = append(events, fmt.Sprintf("%s (pid %d) is dead (%s); it comes back in %s", p.name, life.pid, life.cause(), restartDelay))
		case now.Sub(since) >= restartDelay:
			if err := p.start(); err != nil {
				return events, err
			}
			delete(k.dead, p.name)
			events = append(events, fmt.Sprintf("%s is started again, pid %d", p.name, p.life().pid))
		}
	}
	return events, nil
}

// leaderChange tells of a new leader. The first one was introduced.
func (k *keeper) leaderChange(leader string) []string {
	before := k.leader
	if leader == "" || leader == before {
		return nil
	}
	k.leader = leader
	if before == "" {
		return nil
	}
	return []string{fmt.Sprintf("%s leads now", leader)}
}
