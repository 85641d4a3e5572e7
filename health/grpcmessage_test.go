package health

import (
	"bytes"
	"math"
	"strings"
	"testing"
)

func TestAHealthRequestIsWhatTheProtocolSays(t *testing.T) {
	for service, want := range map[string]string{
		"":                       "\x00\x00\x00\x00\x00",
		"shop.Orders":            "\x00\x00\x00\x00\x0d\x0a\x0bshop.Orders",
		strings.Repeat("x", 256): "\x00\x00\x00\x01\x03\x0a\x80\x02" + strings.Repeat("x", 256),
	} {
		if got := string(healthRequest(service)); got != want {
			t.Errorf("%q is asked about by %q, want %q", service, got, want)
		}
	}
}

func TestAHealthResponseIsRead(t *testing.T) {
	for name, c := range map[string]struct {
		message string
		want    serving
		refused string // part of the reason
	}{
		"an empty one is UNKNOWN":              {"", servingUnknown, ""},
		"SERVING":                              {"\x08\x01", servingYes, ""},
		"NOT_SERVING":                          {"\x08\x02", servingNo, ""},
		"SERVICE_UNKNOWN":                      {"\x08\x03", servingServiceUnknown, ""},
		"the last one counts":                  {"\x08\x02\x08\x01", servingYes, ""},
		"a number with more bytes than needed": {"\x08\x81\x80\x00", servingYes, ""},
		"a negative state":                     {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", -1, ""},
		"unknown fields are skipped":           {"\x10\x96\x01\x19abcdefgh\x22\x03xyz\x2dabcd\x08\x01\xfa\x07\x00", servingYes, ""},
		"a field of the number and not the kind is not known": {"\x08\x01\x0a\x01\x02", servingYes, ""},
		"a cut tag":                       {"\x88", 0, "no field begins at byte 0"},
		"a cut number":                    {"\x08", 0, "field 1 is cut"},
		"a number that does not end":      {"\x08" + strings.Repeat("\xff", 11), 0, "field 1 is cut, or no number"},
		"a field without a number":        {"\x08\x01\x00\x01", 0, "no field begins at byte 2"},
		"a number of a field beyond all":  {"\x80\x80\x80\x80\x10\x01", 0, "no field begins at byte 0"},
		"a text that is cut":              {"\x12\x05abcd", 0, "field 2 is cut"},
		"a text of more than there is":    {"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 0, "field 2 tells no length"},
		"a text without a length":         {"\x12", 0, "field 2 tells no length"},
		"fixed numbers that are cut":      {"\x11abcdefg", 0, "field 2 is cut"},
		"short fixed numbers that are so": {"\x15abc", 0, "field 2 is cut"},
		"a group":                         {"\x13\x14", 0, "field 2 is of kind 3"},
	} {
		got, err := readServing([]byte(c.message))
		switch {
		case c.refused != "":
			judge(t, err, c.refused)
		case err != nil || got != c.want:
			t.Errorf("%s: state %d, error %v, want %d", name, got, err, c.want)
		}
	}
}

func TestABodyHoldsOneMessage(t *testing.T) {
	for body, want := range map[string]string{
		"\x00\x00\x00\x00\x00":                     "",
		"\x00\x00\x00\x00\x02\x08\x01":             "",
		"":                                         "has no message",
		"\x00\x00\x00":                             "message is cut: 3 bytes",
		"\x01\x00\x00\x00\x02\x08\x01":             "message is compressed (1)",
		"\x00\x00\x00\x00\x03\x08\x01":             "message has 2 bytes, but says 3",
		"\x00\xff\xff\xff\xff\x08\x01":             "message has 2 bytes, but says 4294967295",
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00": "message has 5 bytes, but says 0",
	} {
		_, err := unframe([]byte(body))
		judge(t, err, want)
	}
}

// Whatever a message holds, reading it ends, and one that is taken goes on as
// messages do: of two in a row the second one's status counts.
func FuzzHealthResponse(f *testing.F) {
	for _, message := range []string{"", "\x08\x01", "\x08\x02\x12\x03abc", "\x19abcdefgh\x2dabcd", "\x12\xff\xff\xff\xff\x07", "\x0b\x0c"} {
		f.Add([]byte(message))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		_, err := readServing(message)
		if err != nil {
			if len(err.Error()) > maxReason {
				t.Errorf("the reason has %d bytes", len(err.Error()))
			}
			return
		}
		status, err := readServing(append(bytes.Clone(message), 1<<3, servingByte))
		if err != nil || status != servingYes {
			t.Errorf("%q and SERVING: state %d, error %v", message, status, err)
		}
		framed, err := unframe(append([]byte{0, 0, byte(len(message) >> 16), byte(len(message) >> 8), byte(len(message))}, message...))
		if len(message) < math.MaxUint16 && (err != nil || !bytes.Equal(framed, message)) {
			t.Errorf("%q is unframed as %q, error %v", message, framed, err)
		}
	})
}

const servingByte = byte(servingYes)
