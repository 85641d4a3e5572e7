package peer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// The codes of a [RemoteError] that this package itself answers with. Handlers
// add their own.
const (
	CodeInternal      = "internal"       // the handler failed with another error
	CodeBadRequest    = "bad-request"    // the request is not what the method takes
	CodeTooLarge      = "too-large"      // the request is beyond the bound, and was not heard
	CodeUnknownMethod = "unknown-method" // the peer has no such method; it may be older
)

// RemoteError is an error that the peer answered a call with. So the call was
// heard; whether it did anything depends on the code.
type RemoteError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Error implements error.
func (e *RemoteError) Error() string { return fmt.Sprintf("peer answered %s: %s", e.Code, e.Message) }

// Method makes a handler of a function. The function gets the caller's UID and
// the request; its context ends a second after the caller went away, or sooner. If
// it returns a *[RemoteError], wrapped or not, the caller gets that; any other
// error becomes one with [CodeInternal]. Unknown fields of the request are ignored,
// because a peer may be newer.
func Method[Request, Response any](handle func(ctx context.Context, caller string, request Request) (Response, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var request Request
		if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
			answerError(w, decodeError(err))
			return
		}
		response, err := handle(r.Context(), UIDFromContext(r.Context()), request)
		if err != nil {
			answerError(w, err)
			return
		}
		body, err := json.Marshal(response)
		if err != nil {
			answerError(w, fmt.Errorf("encode answer: %w", err))
			return
		}
		answer(w, http.StatusOK, body)
	})
}

func decodeError(err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return &RemoteError{Code: CodeTooLarge, Message: fmt.Sprintf("the request has more than %d bytes", tooLarge.Limit)}
	}
	return &RemoteError{Code: CodeBadRequest, Message: fmt.Sprintf("decode request: %v", err)}
}

// answerError sends the error. The status only tells it from an answer.
func answerError(w http.ResponseWriter, err error) {
	remote := &RemoteError{Code: CodeInternal, Message: err.Error()}
	errors.As(err, &remote)
	body, err := json.Marshal(remote)
	if err != nil { // two strings can always be encoded
		body = []byte(`{"code":"` + CodeInternal + `"}`)
	}
	answer(w, http.StatusUnprocessableEntity, body)
}

func answer(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", jsonType)
	w.WriteHeader(status)
	_, _ = w.Write(body) // a caller that went away needs no answer
}
