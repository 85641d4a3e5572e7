package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// setting is the text that one source gives for an option.
type setting struct {
	values []string
	source string
}

// readFile returns the settings of a YAML document by option, and every fault
// of its form. The path is for messages.
func readFile(path string, data []byte, known map[string]*option) (map[string]setting, Faults) {
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, Faults{syntaxFault(path, err)}
	}
	settings := map[string]setting{}
	var faults Faults
	for _, doc := range file.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.NullType || doc.Body.Type() == ast.CommentType {
			continue
		}
		mapping, ok := doc.Body.(ast.MapNode)
		if !ok {
			return nil, append(faults, Fault{Option: "config", Source: at(path, doc.Body),
				Message: "is not a mapping; write one option per line, such as `name: n1`"})
		}
		for pairs := mapping.MapRange(); pairs.Next(); {
			faults = append(faults, readPair(path, pairs.KeyValue(), known, settings)...)
		}
	}
	return settings, faults
}

// readPair adds one line of the file to the settings.
func readPair(path string, pair *ast.MappingValueNode, known map[string]*option, settings map[string]setting) Faults {
	key := pair.Key.GetToken().Value
	source := at(path, pair.Key)
	o := known[key]
	if o == nil {
		return Faults{{Option: key, Source: source, Message: unknownKey(key, known)}}
	}
	if _, twice := settings[key]; twice {
		return Faults{{Option: key, Source: source, Message: "is given twice; keep one"}}
	}
	values, err := texts(o, pair.Value)
	if err != nil {
		return Faults{{Option: key, Source: source, Message: err.Error()}}
	}
	if values != nil {
		settings[key] = setting{values, source}
	}
	return nil
}

func unknownKey(key string, known map[string]*option) string {
	switch key {
	case "secret":
		return "does not belong in this file; write the secret to a file of its own and name that with " + optSecretFile
	case "admin-token":
		return "does not belong in this file; write the token to a file of its own and name that with " + optAdminTokenFile
	}
	names := slices.Sorted(maps.Keys(known))
	if guess := closest(strings.ReplaceAll(key, "_", "-"), names); guess != "" {
		return fmt.Sprintf("is no option; did you mean %q?", guess)
	}
	return "is no option; known are " + strings.Join(names, ", ")
}

// texts returns a node's scalar, or its elements for an option that is a list.
// A mapping gives NAME=VALUE texts. A null is like an absent line: nil.
func texts(o *option, node ast.Node) ([]string, error) {
	switch n := node.(type) {
	case *ast.NullNode:
		return nil, nil
	case *ast.SequenceNode:
		if !o.list {
			return nil, errors.New("is a list; give one value")
		}
		values := []string{}
		for _, element := range n.Values {
			text, err := scalar(element)
			if err != nil {
				return nil, err
			}
			values = append(values, text)
		}
		return values, nil
	case ast.MapNode:
		if !o.list || !strings.HasPrefix(o.arg, "NAME=") {
			return nil, errors.New("is a mapping; give a plain value")
		}
		values := []string{}
		for pairs := n.MapRange(); pairs.Next(); {
			text, err := scalar(pairs.Value())
			if err != nil {
				return nil, err
			}
			values = append(values, pairs.Key().GetToken().Value+"="+text)
		}
		return values, nil
	}
	text, err := scalar(node)
	if err != nil {
		return nil, err
	}
	if o.list {
		return strings.Split(text, ","), nil
	}
	return []string{text}, nil
}

// scalar returns a plain value as it is written, whatever its YAML type: a
// name such as 1e3 or a port stays what the user typed.
func scalar(node ast.Node) (string, error) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, nil
	case *ast.LiteralNode:
		return strings.TrimSuffix(n.Value.Value, "\n"), nil
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, nil
	}
	return "", fmt.Errorf("is a YAML %s; give a plain value", strings.ToLower(node.Type().String()))
}

func at(path string, node ast.Node) string {
	if token := node.GetToken(); token != nil && token.Position != nil {
		return fmt.Sprintf("%s:%d", path, token.Position.Line)
	}
	return path
}

// syntaxFault keeps the parser's message and line but not its excerpt of the
// source, which could hold a secret put there by mistake.
func syntaxFault(path string, err error) Fault {
	source, message := path, "unreadable"
	var located yaml.Error
	if errors.As(err, &located) {
		message, _, _ = strings.Cut(located.GetMessage(), ": ") // behind it the parser quotes the source
		if token := located.GetToken(); token != nil && token.Position != nil {
			source = fmt.Sprintf("%s:%d", path, token.Position.Line)
		}
	}
	return Fault{Option: "config", Source: source, Message: "is not YAML: " + message}
}
