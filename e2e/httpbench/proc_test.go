package main

import (
	"testing"
	"time"
)

func TestTheIdleShareOfACoreIsReadFromItsTicks(t *testing.T) {
	const before = "cpu  20 0 20 200 0 0 0 0 0 0\ncpu0 10 0 10 100 0 0 0 0 0 0\ncpu1 10 0 10 100 0 0 0 0 0 0\ncpu10 1 1 1 1 1 1 1 1 1 1\n"
	const after = "cpu  50 0 50 300 0 0 0 0 0 0\ncpu0 30 0 30 120 0 0 0 0 0 0\ncpu1 20 0 20 150 10 5 5 10 0 0\ncpu10 1 1 1 1 1 1 1 1 1 1\n"
	for core, want := range map[int]float64{0: 20.0 / 60, 1: 60.0 / 100, 10: 0} {
		first, err := parseCore(before, core)
		if err != nil {
			t.Fatal(err)
		}
		second, err := parseCore(after, core)
		if err != nil {
			t.Fatal(err)
		}
		if got := second.idleSince(first); got != want {
			t.Errorf("core %d: idle %v, want %v", core, got, want)
		}
	}
	if _, err := parseCore(before, 2); err == nil {
		t.Error("core 2 is not there, and was read")
	}
}

func TestTimeRunAndTimeWaitedAreOneSum(t *testing.T) {
	if got, err := parseSchedstat("1500000000 500000000 42\n"); err != nil || got != 2*time.Second {
		t.Errorf("%v, %v; want 2 s", got, err)
	}
	for _, text := range []string{"", "1 2", "a 2 3"} {
		if got, err := parseSchedstat(text); err == nil {
			t.Errorf("%q: %v, want a fault", text, got)
		}
	}
}

func TestCountsAreReadByTheirName(t *testing.T) {
	const text = "Rss:                 300 kB\nPss_Anon:            120 kB\nwchar: 77\n"
	if got, err := parseKilobytes(text, "Pss_Anon"); err != nil || got != 120<<10 {
		t.Errorf("Pss_Anon: %d, %v; want 120 KB", got, err)
	}
	if got, err := parseCount(text, "wchar"); err != nil || got != 77 {
		t.Errorf("wchar: %d, %v; want 77", got, err)
	}
	if got, err := parseCount(text, "Pss"); err == nil {
		t.Errorf("Pss: %d, want a fault", got)
	}
}

func TestAMetricIsReadByItsWholeName(t *testing.T) {
	const text = "# TYPE go_memstats_mallocs_total counter\ngo_memstats_mallocs_total_more 1\ngo_memstats_mallocs_total 1.7006e+06\n"
	if got, err := parseMetric(text, "go_memstats_mallocs_total"); err != nil || got != 1700600 {
		t.Errorf("%v, %v; want 1700600", got, err)
	}
	if got, err := parseMetric(text, "go_memstats_mallocs"); err == nil {
		t.Errorf("%v, want a fault", got)
	}
}

func TestThePortRangeIsRead(t *testing.T) {
	if low, high, err := parsePortRange("32768\t60999\n"); err != nil || low != 32768 || high != 60999 {
		t.Errorf("%d to %d, %v; want 32768 to 60999", low, high, err)
	}
	if _, _, err := parsePortRange("32768"); err == nil {
		t.Error("a range without an end was read")
	}
}
