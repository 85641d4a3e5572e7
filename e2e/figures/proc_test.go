package figures

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"evenkeel/e2e/harness"
)

// ticksPerSecond is the unit of /proc/PID/stat; Linux has the same for all
// its platforms that Go runs on.
const ticksPerSecond = 100

// idleCPU returns the share of one core that the node uses while nobody asks
// it for anything.
func idleCPU(b *testing.B, node *harness.Node) float64 {
	b.Helper()
	before, begin := cpuTicks(b, node.PID()), time.Now()
	pause(idleSpan)
	return float64(cpuTicks(b, node.PID())-before) / ticksPerSecond / time.Since(begin).Seconds()
}

// cpuTicks reads the user and system time of a process.
func cpuTicks(b *testing.B, pid int) int64 {
	b.Helper()
	text := readProc(b, pid, "stat")
	// The second field is the command in parentheses and may hold blanks.
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	var sum int64
	for _, field := range fields[11:13] { // utime and stime are fields 14 and 15
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		sum += ticks
	}
	return sum
}

// anonymousMemory reads RssAnon, in MB of 10^6 bytes.
func anonymousMemory(b *testing.B, pid int) float64 {
	b.Helper()
	for line := range strings.Lines(readProc(b, pid, "status")) {
		var kilobytes float64
		if _, err := fmt.Sscanf(line, "RssAnon: %f kB", &kilobytes); err == nil {
			return kilobytes * 1024 / 1e6
		}
	}
	b.Fatal("/proc/PID/status has no line RssAnon")
	return 0
}

func readProc(b *testing.B, pid int, name string) string {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
	if err != nil {
		b.Skipf("this figure needs Linux: %v", err)
	}
	return string(text)
}
