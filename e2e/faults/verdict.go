package faults

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// resolve prepares a history for the model, with two reductions that neither
// hide nor make up a violation. Values are unique, so who reads one knows which
// write it is from:
//
//   - A write whose value was read did take effect, before the read returned and
//     with the revision that the read saw. So it need not stay open any longer,
//     even if its own client never learned the outcome.
//   - What cannot have had an effect is left out: refused operations, and reads
//     without an answer.
//
// A write of unknown outcome whose value was never read stays, open to the end:
// without it a condition that was not met because of it would be a riddle.
func resolve(operations []operation) []operation {
	readers := map[string]operation{} // by value, the first that returned
	end := time.Duration(0)
	for _, o := range operations {
		end = max(end, o.Return+1)
		if first, known := readers[o.Seen]; o.Seen != "" && (!known || o.Return < first.Return) {
			readers[o.Seen] = o
		}
	}
	var resolved []operation
	for _, o := range operations {
		if o.Outcome == outcomeRefused || o.Outcome == outcomeUnknown && o.Kind == kindRead {
			continue
		}
		if o.Outcome == outcomeUnknown {
			o.Return = end
		}
		reader, read := readers[o.Value]
		if read && o.Value != "" && o.Outcome != outcomeUnmet && o.Revision == 0 {
			o.Outcome, o.Revision, o.Return = outcomeDone, reader.Revision, min(o.Return, reader.Return)
		}
		resolved = append(resolved, o)
	}
	return resolved
}

// contradictions returns what is wrong in a history at first sight, over all
// keys: revisions are one counter of the whole registry, and values are unique.
func contradictions(operations []operation) []string {
	return slices.Concat(riddles(operations), twins(operations), backwards(operations))
}

// riddles are values that were read and cannot have been there.
func riddles(operations []operation) []string {
	writes := map[string]operation{}
	for _, o := range operations {
		if o.Value != "" {
			writes[o.Value] = o
		}
	}
	var found []string
	revisions := map[string]uint64{}
	for _, o := range operations {
		if o.Seen == "" {
			continue
		}
		write, known := writes[o.Seen]
		switch {
		case !known || write.Key != o.Key:
			found = append(found, fmt.Sprintf("a value that nobody wrote there: %v", o))
		case write.Outcome == outcomeRefused || write.Outcome == outcomeUnmet:
			found = append(found, fmt.Sprintf("a write took effect although its client was told that it did not: %v; %v", write, o))
		case write.Revision != 0 && write.Revision != o.Revision:
			found = append(found, fmt.Sprintf("a value stands at another revision than its write was told: %v; %v", write, o))
		case revisions[o.Seen] != 0 && revisions[o.Seen] != o.Revision:
			found = append(found, fmt.Sprintf("a value was read at revision %d before: %v", revisions[o.Seen], o))
		}
		revisions[o.Seen] = o.Revision
	}
	return found
}

// twins are acknowledged writes that were told the same revision.
func twins(operations []operation) []string {
	var found []string
	first := map[uint64]operation{}
	for _, o := range operations {
		if o.Outcome != outcomeDone || !o.Kind.writesValue() || o.Revision == 0 {
			continue
		}
		if other, taken := first[o.Revision]; taken {
			found = append(found, fmt.Sprintf("two writes were told the same revision: %v; %v", other, o))
		}
		first[o.Revision] = o
	}
	return found
}

// backwards are operations that saw less than one that had returned before they
// began: an answer's revision of the registry is of something committed, so a
// later write's is above it and a later linearizable read's is no lower.
func backwards(operations []operation) []string {
	byReturn := slices.SortedFunc(slices.Values(operations), func(a, b operation) int { return cmp.Compare(a.Return, b.Return) })
	byCall := slices.SortedFunc(slices.Values(operations), func(a, b operation) int { return cmp.Compare(a.Call, b.Call) })
	var found []string
	var last operation // the highest that had returned
	seen, returned := uint64(0), 0
	for _, o := range byCall {
		for ; byReturn[returned].Return < o.Call; returned++ {
			if saw := byReturn[returned].saw(); saw > seen {
				seen, last = saw, byReturn[returned]
			}
		}
		switch {
		case o.Outcome != outcomeDone:
		case o.Kind == kindRead && o.State < seen:
			found = append(found, fmt.Sprintf("a linearizable read of revision %d of the registry, after one of %d: %v; before: %v", o.State, seen, o, last))
		case o.Kind.writesValue() && o.Revision != 0 && o.Revision <= seen:
			found = append(found, fmt.Sprintf("a write with revision %d, after %d was seen: %v; before: %v", o.Revision, seen, o, last))
		}
	}
	return found
}

// saw is the highest revision that the operation's answer shows.
func (o operation) saw() uint64 { return max(o.State, o.Revision) }

// judge checks the histories of all keys and returns what is wrong. Porcupine
// may take limit for all keys together; a key that it did not finish with by
// then is a finding too. The visualization of what is wrong goes to dir.
func judge(operations []operation, limit time.Duration, dir string) []string {
	findings := contradictions(operations)
	deadline := time.Now().Add(limit)
	byKey := map[string][]porcupine.Operation{}
	for _, o := range resolve(operations) {
		byKey[o.Key] = append(byKey[o.Key], porcupine.Operation{
			ClientId: o.Client, Input: o, Call: int64(o.Call), Return: int64(o.Return),
		})
	}
	for _, key := range slices.Sorted(maps.Keys(byKey)) {
		findings = append(findings, judgeKey(key, byKey[key], deadline, dir)...)
	}
	return findings
}

// judgeKey has porcupine look for an order of one key's operations.
func judgeKey(key string, operations []porcupine.Operation, deadline time.Time, dir string) []string {
	left := time.Until(deadline)
	if left <= 0 { // 0 would be no limit at all
		return []string{fmt.Sprintf("key %s: unknown: the time was over before its %d operations were checked", key, len(operations))}
	}
	switch porcupine.CheckOperationsTimeout(model, operations, left) {
	case porcupine.Ok:
		return nil
	case porcupine.Unknown:
		return []string{fmt.Sprintf("key %s: unknown: its %d operations were not checked within the time", key, len(operations))}
	}
	// Again, for the longest orders that are legal.
	_, info := porcupine.CheckOperationsVerbose(model, operations, explainLimit)
	finding := fmt.Sprintf("key %s: its %d operations are not linearizable: %s", key, len(operations), stuck(info, operations))
	name, err := visualize(info, key, dir)
	if err != nil {
		return []string{fmt.Sprintf("%s; and to draw them: %v", finding, err)}
	}
	return []string{finding + "; see " + name}
}

// explainLimit bounds the search for what to tell about a violation.
const explainLimit = 20 * time.Second

// stuck tells the end of the longest order that is legal, and the first
// operation that has no place in it.
func stuck(info porcupine.LinearizationInfo, operations []porcupine.Operation) string {
	var longest []porcupine.Operation
	for _, order := range slices.Concat(info.PartialLinearizationsOperations()...) {
		if len(order) > len(longest) {
			longest = order
		}
	}
	state, placed := register{}, map[operation]bool{}
	for _, one := range longest {
		state, _ = state.step(one.Input.(operation))
		placed[one.Input.(operation)] = true
	}
	var first *operation
	for _, one := range operations {
		o := one.Input.(operation)
		if !placed[o] && (first == nil || o.Return < first.Return) {
			first = &o
		}
	}
	if first == nil {
		return "why was not found out in time"
	}
	return fmt.Sprintf("the longest order has %d and ends with the state (%v), where this cannot be: %v", len(longest), state, *first)
}

// visualize draws one key's operations into a file and returns its name.
func visualize(info porcupine.LinearizationInfo, key, dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	name := filepath.Join(dir, key+".html")
	return name, porcupine.VisualizePath(model, info, name)
}

// maxFindings bounds what is printed: one bug shows itself many times.
const maxFindings = 12

// verdict is judge as an error, with the history in dir beside the drawings if
// anything is wrong.
func verdict(operations []operation, limit time.Duration, dir string) error {
	findings := judge(operations, limit, dir)
	if len(findings) == 0 {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	name := filepath.Join(dir, "history.jsonl")
	if err := writeHistory(name, operations); err != nil {
		return err
	}
	shown := findings
	if len(findings) > maxFindings {
		// Those of single keys come last and name the drawings.
		shown = slices.Concat(findings[:maxFindings/2], findings[len(findings)-maxFindings/2:])
	}
	return errors.New(fmt.Sprintf("%d findings in %d operations, see %s:\n", len(findings), len(operations), name) + strings.Join(shown, "\n"))
}
