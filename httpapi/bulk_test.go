package httpapi

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"

	"evenkeel/httpapi/problem"
)

// A client that is sending cannot read the refusal of a connection that is reset,
// as one with bytes unread is.
func TestALargeBodyThatFindsNoTurnIsReadToItsEnd(t *testing.T) {
	a := &API{bulk: make(chan struct{}, maxBulk)}
	for range maxBulk {
		a.bulk <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	body := strings.NewReader(strings.Repeat(" ", maxBulkBody))
	r := httptest.NewRequestWithContext(ctx, "POST", "/v1/txn", body)
	_, done, err := a.readBulk(httptest.NewRecorder(), r)
	wantKind(t, err, problem.Overloaded)
	if body.Len() != 0 {
		t.Errorf("%d bytes are unread", body.Len())
	}
	if done(); len(a.bulk) != maxBulk {
		t.Error("the turn of another one is ended")
	}
}
