package harness

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// fillWriters are as many as are worth a common entry of the log.
const fillWriters = 128

// Fill registers pools with backends that nobody asks, as many as told.
func Fill(t testing.TB, node *Node, pools, backends int) {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: fillWriters}
	defer transport.CloseIdleConnections()
	for pool := range pools {
		node.Write(t, http.MethodPut, fmt.Sprintf("/v1/pools/pool-%d", pool), map[string]any{})
	}
	var next, failed atomic.Int64
	var writers sync.WaitGroup
	client := &http.Client{Transport: transport, Timeout: Patience}
	for range fillWriters {
		writers.Go(func() {
			for n := int(next.Add(1)) - 1; n < backends; n = int(next.Add(1)) - 1 {
				if err := putBackend(client, node.Address, n%pools, n); err != nil {
					failed.Add(1)
					t.Errorf("backend %d: %v", n, err)
					return
				}
			}
		})
	}
	writers.Wait()
	if failed.Load() > 0 {
		t.FailNow()
	}
}

func putBackend(client *http.Client, api string, pool, n int) error {
	path := fmt.Sprintf("http://%s/v1/pools/pool-%d/backends/backend-%d", api, pool, n)
	body := fmt.Sprintf(`{"address":"10.%d.%d.%d:80"}`, n>>16, n>>8&255, n&255)
	request, err := http.NewRequest(http.MethodPut, path, strings.NewReader(body))
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body) // to the end, so that the connection is used again
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusCreated && response.StatusCode != http.StatusOK {
		return fmt.Errorf("%d %s", response.StatusCode, answer)
	}
	return nil
}
