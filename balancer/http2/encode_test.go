package http2

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// TestEveryNameOfTheStaticTable is written by its index.
func TestEveryNameOfTheStaticTable(t *testing.T) {
	decoder := hpack.NewDecoder(4096, nil)
	names := 0
	for index := byte(15); index <= 61; index++ {
		entry, err := decoder.DecodeFull([]byte{0x80 | index})
		if err != nil {
			t.Fatal(err)
		}
		name := entry[0].Name
		for _, as := range []string{name, strings.ToUpper(name), strings.ToUpper(name[:1]) + name[1:]} {
			block := appendField(nil, []byte(as), []byte("value"))
			got, err := decoder.DecodeFull(block)
			if err != nil || len(got) != 1 || got[0].Name != name || got[0].Value != "value" {
				t.Errorf("%s: %v, %v", as, got, err)
			}
			if len(block) > 2+6 {
				t.Errorf("%s: written in %d bytes", as, len(block))
			}
			secret := strings.Contains(name, "authorization") || strings.Contains(name, "cookie")
			if got[0].Sensitive != secret {
				t.Errorf("%s: may be put into a table: %v", as, !got[0].Sensitive)
			}
		}
		names++
	}
	total := 0
	for _, entries := range staticNames {
		total += len(entries)
	}
	if total != names {
		t.Errorf("%d names, want %d", total, names)
	}
}

func TestFieldsAreReadAsTheyWereWritten(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	text := func(chars string, most int) string {
		b := make([]byte, r.IntN(most))
		for i := range b {
			b[i] = chars[r.IntN(len(chars))]
		}
		return string(b)
	}
	for range 5000 {
		name := "x" + text("abc-XYZ019_", 300)
		value := text("abc \t\xff\x80~", 1<<r.IntN(15))
		got, err := hpack.NewDecoder(4096, nil).DecodeFull(appendField(nil, []byte(name), []byte(value)))
		if err != nil || len(got) != 1 || got[0].Name != strings.ToLower(name) || got[0].Value != value {
			t.Fatalf("%q: %q: read as %v, %v", name, value, got, err)
		}
	}
}

func TestEveryStatus(t *testing.T) {
	for status := 100; status < 1000; status++ {
		got, err := hpack.NewDecoder(4096, nil).DecodeFull(appendStatus(nil, status))
		if err != nil || len(got) != 1 || got[0].Name != ":status" || got[0].Value != fmt.Sprint(status) {
			t.Fatalf("%d: read as %v, %v", status, got, err)
		}
	}
}

// TestALargeHeadIsSplit tries sizes around those of one, two and three frames.
func TestALargeHeadIsSplit(t *testing.T) {
	overhead := len(appendField(nil, []byte("a"), make([]byte, 20000))) - 20000
	for frames := 1; frames <= 3; frames++ {
		for delta := -2; delta <= 2; delta++ {
			w := served(t, Config{})
			w.do(get(1), get(3))
			value := strings.Repeat("b", frames*MaxFrame-overhead-1+delta)
			w.streams[1].SendHead(ok("a: "+value), frames%2 == 0)
			w.streams[3].SendHead(ok(), true)
			out := w.write()
			for at, n := 0, 0; at < len(out); n++ {
				h := parseHeader(out[at:])
				if h.length > MaxFrame {
					t.Fatalf("a frame of %d bytes", h.length)
				}
				at += frameHeader + h.length
			}
			end := ""
			if frames%2 == 0 {
				end = " end"
			}
			same(t, "output", strings.Join(w.frames(out), "\n"), "HEADERS 1 :status=200 a="+value+end, "HEADERS 3 :status=200 end")
		}
	}
}

// TestAPeerThatWantsNoTable is told once that it is not used, which RFC 7541
// section 4.2 asks for.
func TestAPeerThatWantsNoTable(t *testing.T) {
	w := served(t, Config{})
	w.do(settingsFrame(http2.Setting{ID: http2.SettingHeaderTableSize, Val: 0}), get(1), get(3))
	w.takeOutput()
	w.decoder = hpack.NewDecoder(0, nil)
	w.streams[1].SendHead(ok(), true)
	if out := w.write(); !bytes.Equal(out[frameHeader:], []byte{resizeTo0, 0x88}) {
		t.Errorf("the first head is %x", out)
	}
	w.streams[3].SendHead(ok(), true)
	if out := w.write(); !bytes.Equal(out[frameHeader:], []byte{0x88}) {
		t.Errorf("the second head is %x", out)
	}
}
