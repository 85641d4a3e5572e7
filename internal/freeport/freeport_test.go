package freeport

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestMain(m *testing.M) {
	if os.Getenv("FREEPORT_OWNER") != "" {
		own()
		return
	}
	os.Exit(m.Run())
}

func TestNoPortIsPromisedTwice(t *testing.T) {
	promised := map[int]bool{}
	for range 3 * blockSize {
		port := Port(t)
		if port < lowest || port >= lowest+blocks*blockSize || promised[port] {
			t.Fatalf("port %d after %d others", port, len(promised))
		}
		promised[port] = true
	}
}

func TestAPortThatIsInUseIsPassedOver(t *testing.T) {
	for range 3 * blockSize {
		next := Port(t) + 1
		if (next-lowest)%blockSize == 0 {
			continue // of another block, which may be anybody's
		}
		busy, err := net.ListenPacket("udp", fmt.Sprintf("127.0.0.1:%d", next))
		if err != nil {
			continue // somebody else has it
		}
		defer busy.Close()
		if port := Port(t); port == next {
			t.Errorf("port %d is in use", port)
		}
		return
	}
	t.Fatal("no port could be used")
}

func TestProcessesOwnDifferentBlocks(t *testing.T) {
	const owners = 3
	owned := map[string]int{}
	for i := range owners {
		owner := exec.CommandContext(t.Context(), os.Args[0])
		owner.Env = append(os.Environ(), "FREEPORT_OWNER=1")
		stdin, err := owner.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		stdout, err := owner.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := owner.Start(); err != nil {
			t.Fatal(err)
		}
		defer owner.Wait()
		defer stdin.Close()
		var ports string
		if _, err := fmt.Fscanln(stdout, &ports); err != nil {
			t.Fatalf("owner %d: %v", i, err)
		}
		for port := range strings.SplitSeq(ports, ",") {
			if other, taken := owned[port]; taken {
				t.Fatalf("port %s is owner %d's and owner %d's", port, other, i)
			}
			owned[port] = i
		}
	}
	for range 2 * blockSize {
		port := fmt.Sprint(Port(t))
		if other, taken := owned[port]; taken {
			t.Fatalf("port %s is ours and owner %d's", port, other)
		}
	}
}

// own prints the ports of a block and keeps them until its input ends.
func own() {
	mine.mu.Lock()
	if !ownBlock() {
		os.Exit(1)
	}
	fmt.Println(strings.Trim(strings.Join(strings.Fields(fmt.Sprint(mine.ports)), ","), "[]"))
	io.Copy(io.Discard, os.Stdin)
}
