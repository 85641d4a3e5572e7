package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"

	"evenkeel/cluster"
)

func TestWhyANodeDidNotAnswerIsSaidInWords(t *testing.T) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	for want, err := range map[string]error{
		"":                 errors.Join(),
		"the node is dead": errDead,
		"the node runs an older build, which does not tell": fmt.Errorf("ask: %w", cluster.ErrOlderBuild),
		"the node did not answer within 1s":                 fmt.Errorf("ask: %w", context.DeadlineExceeded),
		"the node cannot be reached: connection refused":    fmt.Errorf("ask node %q for health: dial: %w", "n2", refused),
	} {
		if got := (nodeHealth{err: err}).why(); got != want {
			t.Errorf("%v is told as %q, want %q", err, got, want)
		}
	}
}
