package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"
)

// unsentError is a request that reached no node: no connection stood. Its text
// says why.
type unsentError struct {
	text string
	err  error
}

// Error implements error.
func (e *unsentError) Error() string { return e.text }

// Unwrap returns the cause.
func (e *unsentError) Unwrap() error { return e.err }

// lostError is a request that may have reached a node, and of which no whole
// answer came. Its text says why.
type lostError struct {
	text string
	err  error
}

// Error implements error.
func (e *lostError) Error() string { return e.text }

// Unwrap returns the cause.
func (e *lostError) Unwrap() error { return e.err }

// IsUnreached tells whether no node accepted a connection. Nothing was changed.
func IsUnreached(err error) bool {
	var unsent *unsentError
	return errors.As(err, &unsent)
}

// IsUntrusted tells whether a node's certificate was not accepted. Nothing was
// sent.
func IsUntrusted(err error) bool {
	var certificate *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	return errors.As(err, &certificate) || errors.As(err, &authority)
}

// reach says in a person's words why a node gave no answer within timeout.
func reach(base string, timeout time.Duration, err error) error {
	var urlErr *url.Error
	if errors.As(err, &urlErr) {
		err = urlErr.Err
	}
	var dial *net.OpError
	unsent := func(what string) error {
		return &unsentError{fmt.Sprintf("reach the API at %s: %s", base, what), err}
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return unsent("connection refused, nothing listens there")
	case errors.Is(err, http.ErrSchemeMismatch):
		return unsent("it does not speak TLS; write http:// if that is meant")
	case IsUntrusted(err), errors.As(err, &dial) && dial.Op == "dial":
		return unsent(err.Error())
	case errors.Is(err, context.DeadlineExceeded):
		return &lostError{fmt.Sprintf("ask the API at %s: no answer within %s", base, timeout), err}
	}
	return &lostError{fmt.Sprintf("ask the API at %s: %s", base, err), err}
}
