package fsm

import "bytes"

// Nearly all commands of a busy registry are puts of backends, which every replica
// reads and, at the leader, is asked whether it can read. As with objects
// (backend_json.go) their JSON stays what encoding/json makes of it and is written
// and read by hand; what is not to the byte as it is written here is left to
// encoding/json.

// appendPut appends what EncodeCommand returns for the put of a backend. ok is false
// if that is left to encoding/json; then what was appended is of no use.
func appendPut(to []byte, c *Command) (_ []byte, ok bool) {
	put, isPut := c.Op.(Put)
	spec, isBackend := put.Spec.(BackendSpec)
	if !isPut || !isBackend || c.Key != (Key{}) || c.ConfirmWithin != 0 || len(put.If.Labels) > 0 {
		return to, false
	}
	w := jsonWriter{to: to}
	w.text(`{"v":1,"id":{"origin":`, c.ID.Origin)
	w.count(`,"seq":`, c.ID.Seq)
	w.time(`},"time":`, c.Time)
	w.someText(`,"actor":`, c.Actor)
	w.someText(`,"reason":`, c.Reason)
	w.to = append(w.to, `,"kind":"put","data":{"kind":"backend"`...)
	w.someText(`,"pool":`, put.Pool)
	w.text(`,"name":`, put.Name)
	if len(put.Labels) > 0 {
		w.labels(put.Labels)
	}
	w.spec(&spec)
	w.condition(&put.If)
	return append(w.to, "}}"...), !w.odd
}

// someText writes what is left out when it is empty.
func (w *jsonWriter) someText(key, value string) {
	if value != "" {
		w.text(key, value)
	}
}

func (w *jsonWriter) condition(p *Precondition) {
	if p.IsZero() {
		return
	}
	separator := `,"if":{`
	flag := func(key string, set bool) {
		if set {
			w.to = append(append(w.to, separator...), key...)
			separator = ","
		}
	}
	flag(`"absent":true`, p.Absent)
	flag(`"exists":true`, p.Exists)
	if flag(`"revision":`, p.Revision != 0); p.Revision != 0 {
		w.count("", p.Revision)
	}
	w.to = append(w.to, '}')
}

// commandReader reads what appendPut writes.
type commandReader struct {
	backendReader
	origin, why string
}

// read returns the command at the beginning of the text, and its length; 0 if it is
// left to encoding/json.
func (r *commandReader) read(text []byte) (command Command, length int) {
	c := jsonReader{rest: text}
	var put Put
	var spec BackendSpec
	c.expect(`{"v":1,"id":{"origin":`)
	command.ID.Origin = c.shared(&r.origin)
	c.expect(`,"seq":`)
	command.ID.Seq = c.number()
	c.expect(`},"time":`)
	command.Time = c.time()
	if c.has(`,"actor":`) {
		command.Actor = c.shared(&r.actor)
	}
	if c.has(`,"reason":`) {
		command.Reason = c.shared(&r.why)
	}
	c.expect(`,"kind":"put","data":{"kind":"backend"`)
	if c.has(`,"pool":`) {
		put.Pool = c.shared(&r.pool)
	}
	c.expect(`,"name":`)
	put.Name = c.text()
	if c.has(`,"labels":`) {
		put.Labels = c.labels()
	}
	r.readSpec(&c, &spec)
	if c.has(`,"if":{`) {
		put.If = c.condition()
	}
	c.expect("}}")
	if c.odd {
		return Command{}, 0
	}
	put.Spec = spec
	command.Op = put
	length = len(text) - len(c.rest)
	// Whatever c was not strict about shows here.
	again, ok := appendPut(r.again[:0], &command)
	r.again = again
	if !ok || !bytes.Equal(again, text[:length]) {
		return Command{}, 0
	}
	return command, length
}

func (c *jsonReader) condition() (p Precondition) {
	separator := ""
	member := func(key string) bool {
		there := c.has(separator + key)
		if there {
			separator = ","
		}
		return there
	}
	p.Absent = member(`"absent":true`)
	p.Exists = member(`"exists":true`)
	if member(`"revision":`) {
		p.Revision = c.number()
	}
	c.expect("}")
	return p
}

// readEntry returns the commands of an entry that are all puts of backends, else
// nil.
func readEntry(data []byte) []Command {
	if len(data) < 2 || data[0] != '[' {
		return nil
	}
	var r commandReader
	var commands []Command
	for rest := data[1:]; ; rest = rest[1:] {
		command, length := r.read(rest)
		if length == 0 || length == len(rest) {
			return nil
		}
		commands = append(commands, command)
		if rest = rest[length:]; len(rest) == 1 && rest[0] == ']' {
			return commands
		}
		if rest[0] != ',' {
			return nil
		}
	}
}
