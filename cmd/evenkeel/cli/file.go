package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// maxPEM is how long a file of certificates or a key may be, in bytes. The API takes
// 64 KiB of each, and a file may hold both with words between them.
const maxPEM = 1 << 20

// files reads the files that the flags of one verb name. It reads each once, since an
// edit is made again if somebody else changed the object.
type files struct {
	app *App
	// flag is the one that names the standard input.
	flag string
	read map[string]string // by flag
}

func newFiles(app *App) *files { return &files{app: app, read: map[string]string{}} }

// field writes what take returns of the file that a flag names. what is in the file,
// for people; an empty name removes the field if removable is set.
func (f *files) field(path, flag, what string, removable bool, take func(text string) string) func(*document, []string) error {
	return func(d *document, texts []string) error {
		if texts[0] == "" && removable {
			d.setPath(path, nil)
			return nil
		}
		text, err := f.text(flag, texts[0])
		if err != nil {
			return err
		}
		if text = take(text); text == "" {
			return fmt.Errorf("--%s: %s holds no %s in PEM", flag, named("file", texts[0]), what)
		}
		d.setPath(path, text)
		return nil
	}
}

// text returns what a flag's file holds. No error tells any of it.
func (f *files) text(flag, file string) (string, error) {
	if text, known := f.read[flag]; known {
		return text, nil
	}
	var in io.Reader
	switch {
	case file == "":
		return "", usage(fmt.Sprintf(`--%s "" names no file; - is the standard input`, flag))
	case file == "-" && f.flag != "":
		return "", usage(fmt.Sprintf("--%s and --%s both name the standard input, which can be read once: put one of them, or both together, into a file", f.flag, flag))
	case file == "-":
		if f.flag, in = flag, f.app.In; in == nil {
			in = os.Stdin
		}
	default:
		opened, err := os.Open(file)
		if err != nil {
			return "", fmt.Errorf("--%s: %w", flag, err)
		}
		defer opened.Close() // nothing was written
		in = opened
	}
	data, err := io.ReadAll(io.LimitReader(in, maxPEM+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("--%s: read %s: %w", flag, named("file", file), err)
	case len(data) > maxPEM:
		return "", fmt.Errorf("--%s: %s has more than %d bytes: that is no chain and no key", flag, named("file", file), maxPEM)
	}
	f.read[flag] = string(data)
	return string(data), nil
}

// chainOf returns a text of PEM without the private keys in it, so that a file may
// hold a chain and its key. What is damaged stays, for the API to refuse.
func chainOf(text string) string {
	if !strings.Contains(text, "-----BEGIN ") {
		return ""
	}
	return blocks(text, func(label string) bool { return label == "" || !ofKey(label) })
}

// keyOf returns the private keys of a text of PEM.
func keyOf(text string) string { return blocks(text, ofKey) }

// ofKey tells of the kinds of block that a private key is in; old files of openssl
// have a curve's parameters before it.
func ofKey(label string) bool {
	return strings.Contains(label, "PRIVATE KEY") || strings.Contains(label, " PARAMETERS")
}

// blocks returns those lines of a text of PEM that are in a block to be kept; those
// outside of all are asked for as "".
func blocks(text string, keep func(label string) bool) string {
	var kept strings.Builder
	label := ""
	for line := range strings.Lines(text) {
		words := strings.TrimSpace(line)
		begun, begins := strings.CutPrefix(words, "-----BEGIN ")
		if begins {
			label = strings.TrimSuffix(begun, "-----")
		}
		if keep(label) {
			kept.WriteString(line)
		}
		if strings.HasPrefix(words, "-----END ") {
			label = ""
		}
	}
	return kept.String()
}
