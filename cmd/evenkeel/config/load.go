package config

import (
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sort"
	"strings"

	"github.com/spf13/pflag"
)

// loader gathers what each source says.
type loader struct {
	known    map[string]*option
	settings map[string]setting // what counts, by option
	env      map[string]string  // the EVENKEEL_ variables that are not empty
	faults   Faults
	config   *Config
}

// Load reads the options from the flags that [Flags] added, the environment
// (in the form of [os.Environ]) and the file of --config. A flag counts before
// a variable, a variable before the file, the file before the default; an
// empty variable counts as absent. An error is of type [Faults] and names all
// faults of all sources.
func Load(fs *pflag.FlagSet, environ []string) (*Config, error) {
	l := &loader{
		known:    map[string]*option{},
		settings: map[string]setting{},
		env:      map[string]string{},
		config: &Config{
			APIAddr:         DefaultAPIAddr,
			Profile:         DefaultProfile,
			DrainTimeout:    DefaultDrainTimeout,
			RemoveDeadAfter: DefaultRemoveDeadAfter,
			BackgroundNice:  DefaultBackgroundNice,
			LogLevel:        slog.LevelInfo,
			LogFormat:       "text",
		},
	}
	for _, o := range options() {
		l.known[o.name] = o
	}
	l.readEnvironment(environ)
	l.readFile(fs)
	l.takeEnvironment()
	l.takeFlags(fs)
	l.parse()
	l.readSecret()
	l.readToken()
	l.complete()
	l.check()
	if len(l.faults) > 0 {
		return nil, l.faults
	}
	return l.config, nil
}

func (l *loader) readEnvironment(environ []string) {
	names := map[string]bool{}
	for _, o := range l.known {
		names[o.env()] = true
	}
	for _, name := range otherVariables {
		names[name] = true
	}
	var unknown []string
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, Prefix) || value == "" {
			continue
		}
		l.env[name] = value
		if !names[name] {
			unknown = append(unknown, name)
		}
	}
	sort.Strings(unknown)
	for _, name := range unknown {
		l.config.Warnings = append(l.config.Warnings, unknownVariable(name, names))
	}
}

// otherVariables are those of the secrets, of --config and of the client's
// verbs.
var otherVariables = []string{
	envSecret, envAdminToken, envConfig,
	Prefix + "API", Prefix + "API_CA", Prefix + "TOKEN", Prefix + "TOKEN_FILE",
}

const (
	envSecret     = Prefix + "SECRET"
	envAdminToken = Prefix + "ADMIN_TOKEN"
	envConfig     = Prefix + "CONFIG"
)

// unknownVariable is a warning and not a fault: Kubernetes gives each pod
// variables that begin with the name of a service, such as one called
// evenkeel.
func unknownVariable(name string, known map[string]bool) string {
	all := make([]string, 0, len(known))
	for k := range known {
		all = append(all, k)
	}
	sort.Strings(all)
	if guess := closest(name, all); guess != "" {
		return fmt.Sprintf("environment variable %s is unknown and ignored; did you mean %s?", name, guess)
	}
	return fmt.Sprintf("environment variable %s is unknown and ignored", name)
}

func (l *loader) readFile(fs *pflag.FlagSet) {
	path, source := l.env[envConfig], "environment variable "+envConfig
	if flag := fs.Lookup("config"); flag != nil && flag.Changed {
		path, source = flag.Value.String(), "flag --config"
	}
	if path == "" {
		return
	}
	data, err := os.ReadFile(path)
	if err != nil {
		l.faults = append(l.faults, Fault{"config", source, path, fmt.Sprintf("cannot be read: %v", reason(err))})
		return
	}
	settings, faults := readFile(path, data, l.known)
	l.faults = append(l.faults, faults...)
	for name, s := range settings {
		l.settings[name] = s
	}
}

func (l *loader) takeEnvironment() {
	for _, o := range l.known {
		value, ok := l.env[o.env()]
		if !ok {
			continue
		}
		values := []string{value}
		if o.list {
			values = strings.Split(value, ",")
		}
		l.settings[o.name] = setting{values, "environment variable " + o.env()}
	}
}

func (l *loader) takeFlags(fs *pflag.FlagSet) {
	fs.Visit(func(flag *pflag.Flag) {
		raw, ok := flag.Value.(*rawFlag)
		if !ok || l.known[flag.Name] == nil {
			return
		}
		var values []string
		for _, text := range raw.values {
			if raw.list {
				values = append(values, strings.Split(text, ",")...)
			} else {
				values = append(values, text)
			}
		}
		l.settings[flag.Name] = setting{values, "flag --" + flag.Name}
	})
}

// parse gives every setting to its option's parser, in the order of the table.
func (l *loader) parse() {
	for _, o := range options() {
		s, ok := l.settings[o.name]
		if !ok {
			continue
		}
		for i := range s.values {
			s.values[i] = strings.TrimSpace(s.values[i])
		}
		if err := o.parse(l.config, s.values); err != nil {
			l.fault(o.name, err.Error())
		}
	}
}

// fault adds a fault of an option with the text and source of its setting.
func (l *loader) fault(name, message string) {
	s := l.settings[name]
	l.faults = append(l.faults, Fault{name, s.source, strings.Join(s.values, ","), message})
}

// faulty tells whether an option has a fault already, so that nothing follows
// from its value.
func (l *loader) faulty(name string) bool {
	return slices.ContainsFunc(l.faults, func(f Fault) bool { return f.Option == name })
}
