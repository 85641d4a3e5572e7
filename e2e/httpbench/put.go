package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// puts is what [putAll] writes: the items from 0 up to count.
type puts struct {
	workers int
	count   int
	// rate is a second; 0 is as fast as it goes. Then a write is repeated while
	// the node says that it may be, and the first that is refused ends all.
	rate float64
	item func(n int) (path, body string)
}

// Written is what came of it.
type Written struct {
	Done    int
	Failed  int
	First   string // what the first failure was
	Elapsed time.Duration
}

// complete returns an error unless all were written.
func (w Written) complete(count int) error {
	if w.Done == count {
		return nil
	}
	return fmt.Errorf("write the registry: %d of %d writes were accepted; the first other: %s", w.Done, count, w.First)
}

// putAll writes until all is written or ctx is done.
func putAll(ctx context.Context, api string, p puts) Written {
	transport := &http.Transport{MaxIdleConnsPerHost: p.workers}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 20 * time.Second}
	var (
		next    atomic.Int64
		running sync.WaitGroup
		mu      sync.Mutex // guards w
		w       Written
	)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	begin := time.Now()
	for range p.workers {
		running.Go(func() {
			for n := int(next.Add(1)) - 1; n < p.count && p.waitTurn(ctx, begin, n); n = int(next.Add(1)) - 1 {
				path, body := p.item(n)
				err := p.put(ctx, client, "http://"+api+path, body)
				if ctx.Err() != nil {
					return
				}
				mu.Lock()
				w.add(err)
				mu.Unlock()
				if err != nil && p.rate == 0 {
					cancel()
				}
			}
		})
	}
	running.Wait()
	w.Elapsed = time.Since(begin)
	return w
}

func (w *Written) add(err error) {
	if err == nil {
		w.Done++
		return
	}
	if w.Failed++; w.Failed == 1 {
		w.First = err.Error()
	}
}

// waitTurn waits until the n-th write is due and returns false if ctx ends
// before.
func (p puts) waitTurn(ctx context.Context, begin time.Time, n int) bool {
	if p.rate > 0 {
		select {
		case <-ctx.Done():
		case <-time.After(time.Until(begin.Add(time.Duration(float64(n) / p.rate * float64(time.Second))))):
		}
	}
	return ctx.Err() == nil
}

// put writes one item, and again for a minute while there is no leader or the
// outcome is unknown, if it is to.
func (p puts) put(ctx context.Context, client *http.Client, url, body string) error {
	for deadline := time.Now().Add(time.Minute); ; {
		status, err := put(ctx, client, url, body)
		again := p.rate == 0 && (status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout)
		if !again || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// put sends one write and returns the status of the answer, 0 without one.
func put(ctx context.Context, client *http.Client, url, body string) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, url, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body) // to the end, so that the connection is used again
	if err == nil && response.StatusCode != http.StatusOK && response.StatusCode != http.StatusCreated {
		err = fmt.Errorf("PUT %s: %s %.300s", url, response.Status, answer)
	}
	return response.StatusCode, err
}
