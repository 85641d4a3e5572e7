package fsm

import "time"

// Types of a health check.
const (
	CheckTCP  = "tcp"
	CheckHTTP = "http"
)

// Check says how observers probe a backend.
type Check struct {
	// Type is [CheckTCP] or [CheckHTTP].
	Type string `json:"type"`
	// Path is what an HTTP check asks for; "/" if empty.
	Path string `json:"path,omitempty"`
	// Interval is the time from one probe's start to the next one's, 100 ms to
	// 1 h; Timeout bounds a probe, 10 ms to Interval.
	Interval Duration `json:"interval"`
	Timeout  Duration `json:"timeout"`
	// Rise and Fall are how many probes in a row change an observer's opinion,
	// 1 to 100.
	Rise int `json:"rise"`
	Fall int `json:"fall"`
	// Expect is the status codes of a passing HTTP check: a list of codes and
	// ranges such as "200-299,304"; "200-399" if empty.
	Expect string `json:"expect,omitempty"`
}

// SetDefaults fills a new check with the defaults.
func (c *Check) SetDefaults() {
	*c = Check{Type: CheckTCP, Interval: Duration(2 * time.Second), Timeout: Duration(time.Second), Rise: 2, Fall: 3}
}
