package network

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// insideEnv is set within the namespaces.
const insideEnv = "EVENKEEL_E2E_NETWORK"

// namespaces is where ip keeps the names of network namespaces.
const namespaces = "/run/netns"

// Enter runs a test binary's main function in a network of its own, where the
// rights allow that, and here otherwise. The result is for os.Exit.
func Enter(run func() int) int {
	if os.Getenv(insideEnv) != "" {
		if err := prepare(); err != nil {
			fmt.Fprintln(os.Stderr, "enter a network of its own:", err)
			return 1
		}
		return run()
	}
	if os.Geteuid() != 0 {
		return run()
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return run()
	}
	// The child is to die with this thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	child := exec.Command("/proc/self/exe", slices.DeleteFunc(slices.Clone(os.Args[1:]), func(arg string) bool {
		return strings.HasPrefix(arg, "-test.testlogfile=") // this process's
	})...)
	child.Env = append(os.Environ(), insideEnv+"=1")
	child.Stdin, child.Stdout, child.Stderr = os.Stdin, os.Stdout, os.Stderr
	child.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if err := child.Start(); err != nil {
		return run() // not even root may do that everywhere
	}
	err := child.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		fmt.Fprintln(os.Stderr, "run the tests in a network of their own:", err)
	}
	return child.ProcessState.ExitCode()
}

// prepare makes the new namespaces fit for use.
func prepare() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keep mounts to oneself: %w", err)
	}
	if err := os.MkdirAll(namespaces, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("none", namespaces, "tmpfs", 0, ""); err != nil {
		return fmt.Errorf("mount %q: %w", namespaces, err)
	}
	return ip("link", "set", "lo", "up")
}

// Available reports whether [New] can work here.
func Available() bool { return os.Getenv(insideEnv) != "" }

func ip(args ...string) error {
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
