//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
)

const (
	idleTLSConnections = 5000
	idleTLSBound       = 12 << 10 // bytes
)

// protocolCases are the cases of what is not HTTP/1.1 in clear text.
func protocolCases() []costCase {
	keepAlive := Job{Shape: GetSmall, Connections: 64}
	secure := func(job Job) Job { job.TLS = &TLSJob{}; return job }
	shaking := Job{Shape: GetSmall, Connections: 64, Reconnect: true}
	return []costCase{
		{
			name: "tls64", title: "GET of 1 KB over TLS 1.3, 64 keep-alive connections", front: frontTLS,
			job: secure(keepAlive), bounds: map[string]float64{nameHAProxy: 0.85, nameNginx: 0.85},
		}, {
			name: "handshake64", title: "a full handshake of TLS 1.3 (P-256) for each GET of 1 KB, 64 at a time", front: frontTLS,
			job: secure(shaking), bounds: map[string]float64{nameHAProxy: 1.0},
		}, {
			name: "resume64", title: "a resumed handshake for each GET of 1 KB, 64 at a time", front: frontTLS,
			job: resuming(shaking), bounds: map[string]float64{nameHAProxy: 1.1},
		}, {
			name: "resume-other64", title: "the same with a ticket of another node", front: frontTLS, twin: true,
			job: resuming(shaking), bounds: map[string]float64{nameHAProxy: 1.1},
		}, {
			name: "h2", title: "GET of 1 KB by HTTP/2 over TLS, 10 connections of 20 streams", front: frontTLS,
			job:    secure(Job{Shape: GetSmall, Connections: 10, Streams: 20}),
			bounds: map[string]float64{nameHAProxy: 0.80, nameNginx: 0.70},
		}, {
			name: "grpc64", title: "unary gRPC of 100 B, HTTP/2 in clear text on both sides, 64 streams", front: frontRPC,
			job:    Job{Shape: Unary, Connections: 1, Streams: 64},
			bounds: map[string]float64{nameNginx: 0.8},
		}, {
			name: "tcp64", title: "through a TCP listener: GET of 1 KB, 64 keep-alive connections", front: frontTCP,
			job: keepAlive, bounds: map[string]float64{nameHAProxy: 1.10},
		}, {
			name: "tcp-gb", title: "through a TCP listener: 1 GB on one connection", front: frontTCP, splice: true, megabytes: hugeSize >> 20, whole: true,
			job:    Job{Shape: GetHuge, Connections: 1, Requests: 1},
			bounds: map[string]float64{nameSplice: 1.0, nameAuto: 1.0},
		},
	}
}

func resuming(job Job) Job {
	job.TLS = &TLSJob{Resume: true}
	return job
}

// runMemoryTLS measures what an idle TLS connection holds, after one request on
// each.
func (b *bench) runMemoryTLS(ctx context.Context) error {
	count := min(idleTLSConnections, b.descriptors-sideDescriptors)
	rounds := min(memoryRounds, b.options.rounds)
	programs := b.fitting(frontTLS, false)
	base, each := map[string][]float64{}, map[string][]float64{}
	for round := range rounds {
		for _, program := range turned(programs, round) {
			b.out.progress("  round %d of %d: %s", round+1, rounds, program.name)
			without, bytes, err := b.memoryOfTLS(ctx, program, count)
			if err != nil {
				return fmt.Errorf("%s: %w", program.name, err)
			}
			base[program.name], each[program.name] = append(base[program.name], without), append(each[program.name], bytes)
		}
	}
	b.out.title("memory-tls: anonymous memory per idle TLS connection, %d of them, %d fresh processes", count, rounds)
	rows := [][]string{{"program", "MB without", "bytes each", "range", "bound", ""}}
	for _, program := range programs {
		measured := spreadOf(each[program.name])
		cells := append(spreadCells(measured, whole), "", "")
		if program.name == nameEvenkeel {
			cells = b.out.judge(fmt.Sprintf("memory-tls: bytes per idle connection, %d of them", count), measured, idleTLSBound, whole)
		}
		rows = append(rows, append([]string{program.name, number("%.1f", spreadOf(base[program.name]).median/1e6)}, cells...))
	}
	b.out.table(rows)
	return nil
}

// memoryOfTLS starts a program and returns its memory without connections, after
// its first traffic, and for each of the connections.
func (b *bench) memoryOfTLS(ctx context.Context, program program, count int) (base, each float64, err error) {
	p := alone()
	p.front = frontTLS
	servers, err := b.startAll(ctx, p, program)
	defer func() { err = errors.Join(err, b.endAll(servers)) }()
	if err != nil {
		return 0, 0, err
	}
	s := servers[0]
	o, err := b.measure(ctx, p, s, Job{Shape: GetSmall, Connections: 64, TLS: &TLSJob{}, Warmup: warmup, Window: warmup})
	if err != nil {
		return 0, 0, err
	}
	b.out.check(s.name+", before idle TLS connections", o)
	if base, err = b.settledMemory(ctx, s, secureSettle); err != nil {
		return 0, 0, err
	}
	job := Job{Shape: GetSmall, Connections: count, Requests: count, Hold: true, Window: startLimit, TLS: &TLSJob{}}
	h, err := b.holdJob(ctx, s.name, b.onFront(frontTLS, b.aimed(s, job)), []int{loadCore})
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, b.release(ctx, h)) }()
	now, err := b.settledMemory(ctx, s, secureSettle)
	return base, (now - base) / float64(count), err
}
