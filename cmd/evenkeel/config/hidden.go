package config

import (
	"fmt"
	"os"
	"strings"

	"evenkeel/cluster/secret"
)

// readSecret takes the secret from its variable or its file.
func (l *loader) readSecret() {
	l.config.Secrets = secret.Loopback()
	text, source, ok := l.hiddenText(optSecretFile, envSecret)
	if !ok || text == "" {
		return
	}
	ring, err := secret.Parse([]byte(text))
	if err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			l.faults = append(l.faults, Fault{"secret", source, "", strings.TrimLeft(strings.TrimPrefix(line, "parse secret"), ": ")})
		}
		return
	}
	l.config.Secrets = ring
}

// readToken takes the admin token from its variable or its file.
func (l *loader) readToken() {
	text, source, ok := l.hiddenText(optAdminTokenFile, envAdminToken)
	if !ok || text == "" {
		return
	}
	token := strings.TrimSpace(text)
	if !isToken(token) {
		l.faults = append(l.faults, Fault{"admin-token", source, "",
			"is not a bearer token (RFC 6750); use one line of letters, digits and -._~+/"})
		return
	}
	if len(token) < 16 {
		l.config.Warnings = append(l.config.Warnings,
			fmt.Sprintf("the admin token of %s has %d characters; one that cannot be guessed has 16 or more", source, len(token)))
	}
	l.config.AdminToken = Hidden(token)
}

// hiddenText returns a secret text and where it came from: the file of an
// option, or the variable that holds the text itself, whichever has the
// precedence. A file that is empty or cannot be read is a fault, and then ok
// is false; with neither the text is "".
func (l *loader) hiddenText(fileOption, variable string) (text, source string, ok bool) {
	value, inEnv := l.env[variable]
	file, inFile := l.settings[fileOption]
	o := l.known[fileOption]
	fromEnv := inFile && file.source == "environment variable "+o.env()
	switch {
	case inEnv && fromEnv:
		l.faults = append(l.faults, Fault{fileOption, file.source, strings.Join(file.values, ","),
			variable + " is set too; unset one of the two"})
		return "", "", false
	case inEnv && (!inFile || !strings.HasPrefix(file.source, "flag ")):
		return value, "environment variable " + variable, true
	case !inFile:
		return "", "", true
	case l.faulty(fileOption):
		return "", "", false
	}
	path := file.values[0]
	data, err := os.ReadFile(path)
	if err != nil {
		l.fault(fileOption, fmt.Sprintf("cannot be read: %v", reason(err)))
		return "", "", false
	}
	if strings.TrimSpace(string(data)) == "" {
		l.fault(fileOption, "is an empty file")
		return "", "", false
	}
	l.warnOfRights(fileOption, path)
	return string(data), fmt.Sprintf("%s %s", fileOption, path), true
}

// warnOfRights warns of a file with a secret that everyone can read.
func (l *loader) warnOfRights(option, path string) {
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o007 != 0 {
		l.config.Warnings = append(l.config.Warnings,
			fmt.Sprintf("%s %q can be read by every user of this machine (mode %04o); run `chmod 600 %s`", option, path, info.Mode().Perm(), path))
	}
}

// reason strips the operation and path that [os.ReadFile] puts before an
// error, for messages that name the path themselves.
func reason(err error) error {
	if pathErr, ok := err.(*os.PathError); ok {
		return pathErr.Err
	}
	return err
}

// isToken tells whether text is a b64token (RFC 6750, section 2.1).
func isToken(text string) bool {
	body := strings.TrimRight(text, "=")
	for _, c := range []byte(body) {
		if !isLabelByte(c) && (c < 'A' || c > 'Z') && !strings.ContainsRune("._~+/", rune(c)) {
			return false
		}
	}
	return body != ""
}
