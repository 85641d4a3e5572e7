package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// released is set by release and image builds, whose source tree has no
// version control data:
//
//	go build -ldflags "-X evenkeel/cmd/evenkeel/cli.released=v1.2.3" ./cmd/evenkeel
var released string

// Build says what this binary was made of.
type Build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Time     string `json:"time,omitempty"`
	Modified bool   `json:"modified"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// ReadBuild returns what the Go tool recorded in this binary.
func ReadBuild() Build {
	b := Build{Version: "devel", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if ok {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				b.Revision = s.Value
			case "vcs.time":
				b.Time = s.Value
			case "vcs.modified":
				b.Modified = s.Value == "true"
			}
		}
		b.Version = moduleVersion(info.Main.Version, b.Revision)
	}
	if released != "" {
		b.Version = released
	}
	return b
}

// moduleVersion prefers the module's version. That of a commit without a
// release is long and says no more than the revision.
func moduleVersion(version, revision string) string {
	if version != "" && version != "(devel)" && !strings.HasPrefix(version, "v0.0.0-") {
		return version
	}
	if revision != "" {
		return "devel-" + revision[:min(len(revision), 12)]
	}
	return "devel"
}

// String returns the build as one line.
func (b Build) String() string {
	parts := []string{"evenkeel " + b.Version}
	if b.Revision != "" {
		revision := b.Revision[:min(len(b.Revision), 12)]
		if b.Modified {
			revision += " with changes"
		}
		parts = append(parts, "revision "+revision)
	}
	if b.Time != "" {
		parts = append(parts, b.Time)
	}
	return strings.Join(append(parts, b.Go, b.Platform), ", ")
}

func (a *App) versionCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "version", Short: "print what this binary was made of", Args: exactArgs(0)}
	f := formatFlag(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		build := ReadBuild()
		if *f == formatTable {
			_, err := fmt.Fprintln(a.Out, build)
			return err
		}
		return a.printValue(*f, build)
	}
	return cmd
}
